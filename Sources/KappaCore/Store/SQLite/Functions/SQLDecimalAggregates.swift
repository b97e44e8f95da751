import CSQLite

/// Sums and means of decimals, as aggregates and over windows: exact, however many digits the intermediate
/// sums need.
extension SQLFunctions {
    static func addAggregates(to connection: SQLiteConnection) {
        define("_kappa_sum", on: connection) { call, total throws(SQLFailure) in
            if total.count == 0 { return call.giveNull() }
            try call.give(total.sum, orTooLong: "sum")
        }
        define("_kappa_total", on: connection) { call, total throws(SQLFailure) in
            try call.give(total.sum, orTooLong: "sum")
        }
        define("_kappa_avg", on: connection) { call, total throws(SQLFailure) in
            if total.count == 0 { return call.giveNull() }
            try call.give(total.average, orTooLong: "mean")
        }
    }

    private typealias Result = (SQLCall, DecimalTotal) throws(SQLFailure) -> Void

    private final class Function {
        let name: String
        let result: Result
        init(_ name: String, _ result: @escaping Result) {
            self.name = name
            self.result = result
        }

        /// Returns the result of a group so far; the total is empty where the group has no rows.
        func give(_ context: OpaquePointer, _ total: DecimalTotal) {
            let call = SQLCall(context, nil)
            do throws(SQLFailure) { try result(call, total) } catch {
                call.fail("\(name)(): \(error.reason)")
            }
        }

        static func of(_ context: OpaquePointer) -> Function? {
            sqlite3_user_data(context).map {
                Unmanaged<Function>.fromOpaque($0).takeUnretainedValue()
            }
        }
    }

    /// SQLite keeps a pointer to this for each group.
    private final class Group {
        var total = DecimalTotal()

        /// The group of a call; its first row creates it.
        static func of(_ context: OpaquePointer) -> Group? {
            let size = Int32(MemoryLayout<UnsafeRawPointer?>.size)
            guard let place = pointer(sqlite3_aggregate_context(context, size)) else { return nil }
            if let there = place.pointee {
                return Unmanaged<Group>.fromOpaque(there).takeUnretainedValue()
            }
            let group = Group()
            place.pointee = UnsafeRawPointer(Unmanaged.passRetained(group).toOpaque())
            return group
        }

        /// The group of a call, if it has rows; with `isLast` it is released.
        static func existing(_ context: OpaquePointer, isLast: Bool) -> Group? {
            guard let place = pointer(sqlite3_aggregate_context(context, 0)),
                let there = place.pointee
            else { return nil }
            guard isLast else { return Unmanaged<Group>.fromOpaque(there).takeUnretainedValue() }
            place.pointee = nil
            return Unmanaged<Group>.fromOpaque(there).takeRetainedValue()
        }

        private static func pointer(
            _ memory: UnsafeMutableRawPointer?
        ) -> UnsafeMutablePointer<UnsafeRawPointer?>? {
            memory?.assumingMemoryBound(to: UnsafeRawPointer?.self)
        }
    }

    private static func define(
        _ name: String, on connection: SQLiteConnection, _ result: @escaping Result
    ) {
        sqlite3_create_window_function(
            connection.handle, name, 1, flags,
            Unmanaged.passRetained(Function(name, result)).toOpaque(),
            { context, _, values in
                SQLFunctions.visit(context, values) { $0.add($1) }
            },
            { SQLFunctions.give($0, isLast: true) },
            { SQLFunctions.give($0, isLast: false) },
            { context, _, values in
                SQLFunctions.visit(context, values) { $0.remove($1) }
            },
            { data in
                if let data { Unmanaged<Function>.fromOpaque(data).release() }
            })
    }

    private static func visit(
        _ context: OpaquePointer?, _ values: UnsafeMutablePointer<OpaquePointer?>?,
        _ change: (inout DecimalTotal, ExactDecimal) -> Void
    ) {
        guard let context else { return }
        let call = SQLCall(context, values)
        do throws(SQLFailure) {
            guard let number = try call.decimal(0) else { return }
            guard let group = Group.of(context) else { return sqlite3_result_error_nomem(context) }
            change(&group.total, number)
        } catch {
            call.fail("\(Function.of(context)?.name ?? "")(): \(error.reason)")
        }
    }

    private static func give(_ context: OpaquePointer?, isLast: Bool) {
        guard let context, let function = Function.of(context) else { return }
        let group = Group.existing(context, isLast: isLast)
        function.give(context, group?.total ?? DecimalTotal())
    }
}
