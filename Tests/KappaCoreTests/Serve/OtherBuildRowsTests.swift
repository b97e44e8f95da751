import KappaTesting
import Testing

@testable import KappaCore

private struct Fact: Event, Encodable {
    var key: String
    var n: Int
}

/// A row of one build; another build has another one under the same view.
private protocol BuildRow: ViewRow { static func made(_ n: Int) -> Self }

private struct First: BuildRow {
    var userID: String
    var amount: ExactDecimal
    var seq: Int
    var isShipped: Bool
    static func made(_ n: Int) -> First {
        First(
            userID: "\(n).01", amount: ExactDecimal(mantissa: Int128(n), scale: 1), seq: n,
            isShipped: n % 2 == 0)
    }
}
private struct Reordered: BuildRow {
    var amount: ExactDecimal
    var isShipped: Bool
    var seq: Int
    var userID: String
    static func made(_ n: Int) -> Reordered {
        Reordered(amount: 7, isShipped: n > 3, seq: -n, userID: "u\(n)")
    }
}
private struct Renamed: BuildRow {
    var amount: ExactDecimal
    var userID: String
    var total: Int
    static func made(_ n: Int) -> Renamed { Renamed(amount: 1, userID: "r\(n)", total: n) }
}
private struct Fewer: BuildRow {
    var seq: Int
    var userID: String
    static func made(_ n: Int) -> Fewer { Fewer(seq: n * n, userID: "f") }
}
private struct Retyped: BuildRow {
    var userID: String
    var amount: Double
    var seq: Timestamp
    static func made(_ n: Int) -> Retyped {
        Retyped(
            userID: "t", amount: n % 4 == 0 ? .nan : Double(n) / 4,
            seq: Timestamp(microseconds: Int64(n)))
    }
}
private struct Optionals: BuildRow {
    var userID: String?
    var amount: ExactDecimal?
    var seq: Int?
    static func made(_ n: Int) -> Optionals {
        Optionals(
            userID: n % 3 == 0 ? nil : "o\(n)", amount: n % 2 == 0 ? nil : 5,
            seq: n % 5 == 0 ? nil : n)
    }
}
private struct Doubles: BuildRow {
    var amount: Double?
    var seq: Int8
    static func made(_ n: Int) -> Doubles {
        Doubles(amount: n % 2 == 0 ? nil : 0.5, seq: Int8(n))
    }
}
private struct Narrow: BuildRow {
    var userID: Grade
    var seq: UInt8
    enum Grade: String, Codable { case f, t, other }
    static func made(_ n: Int) -> Narrow { Narrow(userID: n % 2 == 0 ? .f : .t, seq: UInt8(n)) }
}
private struct Nested: BuildRow {
    struct Place: Codable, Equatable, Sendable {
        var city: String?
        var userID: Int?
    }
    var place: Place
    var labels: [String: Int]
    static func made(_ n: Int) -> Nested {
        Nested(
            place: Place(city: n % 2 == 0 ? nil : "x", userID: n % 3 == 0 ? nil : n),
            labels: n % 3 == 0 ? [:] : ["a": n, "userID": 1])
    }
}
private struct OtherNested: BuildRow {
    struct Place: Codable, Equatable, Sendable {
        var town: String?
        var userID: Int?
    }
    var place: Place
    var labels: [String: String]
    static func made(_ n: Int) -> OtherNested {
        OtherNested(
            place: Place(town: n % 2 == 0 ? nil : "y", userID: n % 3 == 0 ? nil : n),
            labels: n % 2 == 0 ? [:] : ["b": "c"])
    }
}
private struct Hiding: BuildRow {
    var seq: Int
    @Hidden var last: Int?
    @Hidden var userID = ""
    static func made(_ n: Int) -> Hiding {
        var row = Hiding(seq: n)
        row.last = n % 2 == 0 ? nil : n
        row.userID = "h\(n)"
        return row
    }
}
private struct OtherHiding: BuildRow {
    var seq: Int
    @Hidden var last: Timestamp?
    static func made(_ n: Int) -> OtherHiding {
        var row = OtherHiding(seq: n)
        row.last = Timestamp(microseconds: 1_700_000_000_000_000 + Int64(n))
        return row
    }
}
private struct MoreHiding: BuildRow {
    var seq: Int
    @Hidden var last: Int?
    @Hidden var further: Int?
    static func made(_ n: Int) -> MoreHiding {
        var row = MoreHiding(seq: n)
        (row.last, row.further) = (n, nil)
        return row
    }
}

/// The values of a row, by the names of its properties.
private func told(_ row: some ViewRow) -> [String: String] {
    var told: [String: String] = [:]
    for child in Swift.Mirror(reflecting: row).children {
        var value = child.value
        let mirror = Swift.Mirror(reflecting: value)
        if let inner = mirror.descendant("wrappedValue") { value = inner }
        let optional = Swift.Mirror(reflecting: value)
        if optional.displayStyle == .optional { value = optional.children.first?.value ?? "nil" }
        // A dictionary prints its keys in another order each time; an empty one is empty whatever its type.
        let parts = Swift.Mirror(reflecting: value)
        let isDictionary = parts.displayStyle == .dictionary
        // A missing nil and one of another name are stored in the same way: as nothing.
        let isStruct = parts.displayStyle == .struct && value is any Codable
        let isThere = { (child: Swift.Mirror.Child) in
            let optional = Swift.Mirror(reflecting: child.value)
            return optional.displayStyle != .optional || !optional.children.isEmpty
        }
        told[child.label ?? ""] =
            isDictionary
            ? "\(parts.children.map { "\(type(of: $0.value)) \($0.value)" }.sorted())"
            : isStruct
                ? "\(parts.children.filter(isThere).map { "\($0.label ?? ""): \($0.value)" })"
                : "\(value)"
    }
    return told
}

/// The kinds of a row's properties, by their names.
private func kinds(_ row: some ViewRow) -> [String: String] {
    Swift.Mirror(reflecting: row).children.reduce(into: [:]) {
        $0[$1.label ?? ""] = "\(type(of: $1.value))"
    }
}

@Suite("A build reads a live version that another build has made")
struct OtherBuildRowsTests {
    private static let types: [any BuildRow.Type] = [
        First.self, Reordered.self, Renamed.self, Fewer.self, Retyped.self, Optionals.self,
        Doubles.self, Narrow.self, Nested.self, OtherNested.self, Hiding.self, OtherHiding.self,
        MoreHiding.self,
    ]

    private func view<Row: BuildRow>(_ row: Row.Type, _ digest: String) -> View<Row> {
        View("orders", row: Row.self, digest: digest) {
            On(Fact.self, key: \.key) { fact, row in row = Row.made(fact.n) }
        }
    }

    /// Rows of `Old` are live, and a build with rows of `New` reads them.
    private func read<Old: BuildRow, New: BuildRow>(
        _ old: Old.Type, _ new: New.Type, _ numbers: [Int]
    ) async throws {
        let pair: Comment = "\(New.self) of \(Old.self), \(numbers)"
        let folder = try TemporaryFolder(inMemory: true)
        let before = try await Kappa.open(
            folder.path, views: ViewSet([view(Old.self, "old")]))
        try await before.append(numbers.enumerated().map { Fact(key: "k\($0)", n: $1) })
        try await before.catchUp()
        await before.close()
        let live = numbers.map { told(Old.made($0)) }
        let kappa = try await Kappa.open(folder.path, views: ViewSet([view(New.self, "new")]))
        let own = view(New.self, "new")
        func isRight(_ row: New?, _ index: Int) -> Bool {
            guard let row else { return false }
            return told(row).allSatisfy { live[index][$0.key] == $0.value }
        }
        var refusals = 0
        for index in numbers.indices {
            do {
                let row = try await kappa.row(of: own, key: "k\(index)")
                #expect(isRight(row, index), "\(pair): \(String(describing: row))")
            } catch let error as KappaError {
                #expect(error.code == .refused && error.reason != nil, "\(pair): \(error)")
                #expect(error.advice?.contains("promoted") == true)
                refusals += 1
            }
        }
        do {
            let rows = try await kappa.rows(of: own)
            #expect(rows.count == numbers.count && refusals == 0, pair)
            #expect(rows.indices.allSatisfy { isRight(rows[$0], $0) }, pair)
        } catch let error as KappaError {
            #expect(error.code == .refused && refusals > 0, "\(pair): \(error)")
        }
        // Not everything is refused: if all requested columns exist, they are read.
        let (there, wanted) = (kinds(Old.made(1)), kinds(New.made(1)))
        // (A NaN is stored as a null, which in another build's row may have been a nil.)
        let hasNaN = live.contains { $0.values.contains("nan") }
        if !hasNaN, wanted.allSatisfy({ there[$0.key] == $0.value }) {
            #expect(refusals == 0, pair)
        }
        // Cells by name are those of the version, whatever this build's rows are.
        let cells = try await kappa.columns(of: own)
        let schema = try VersionReader(
            DataFolder(folder.path).file(VersionID("orders", VersionNumber(1)))
        ).tables[0]
        #expect(
            cells.map { $0.cells.map(\.name) } == numbers.map { _ in schema.columns.map(\.name) })
        // The past is this build's own.
        let past = try await kappa.rows(of: own, at: Offset(UInt64(numbers.count)))
        #expect(past.map(told) == numbers.map { told(New.made($0)) }, pair)
        try await kappa.catchUp()
        #expect(try await kappa.rows(of: own).map(told) == past.map(told), pair)
        await kappa.close()
    }

    @Test("random pairs of rows: equal values by name, or an error that says what differs")
    func pairs() async throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        for _ in 0..<40 {
            let old = Self.types[random.below(Self.types.count)]
            let new = Self.types[random.below(Self.types.count)]
            let numbers = (0..<(1 + random.below(4))).map { _ in random.below(100) }
            try await read(old, new, numbers)
        }
    }

    @Test("columns in another order are read by their names; what is missing is named")
    func named() async throws {
        try await read(First.self, Reordered.self, [1, 2])
        try await read(Reordered.self, Fewer.self, [3])
        let folder = try TemporaryFolder(inMemory: true)
        let before = try await Kappa.open(folder.path, views: ViewSet([view(First.self, "old")]))
        try await before.append(Fact(key: "a", n: 1))
        try await before.catchUp()
        await before.close()
        let kappa = try await Kappa.open(folder.path, views: ViewSet([view(Renamed.self, "new")]))
        let missing = await #expect(throws: KappaError.self) {
            try await kappa.rows(of: view(Renamed.self, "new"))
        }
        #expect(
            "\(missing.map { "\($0)" } ?? "")" == """
                orders@1 has other rows than this build's orders
                  where: orders@1
                  why:   another build has made it: it has no column total
                  next:  Wait until this build's version is promoted (`kappa status`), or read the cells \
                by their names with columns(of:)
                """)
        #expect(
            try await kappa.columns(of: view(Renamed.self, "new")).first?["amount"]
                == .decimal(ExactDecimal(mantissa: 1, scale: 1)))
        // A view of the same name that this Kappa was not opened with.
        let other = await #expect(throws: KappaError.self) {
            try await kappa.rows(of: view(First.self, "old"))
        }
        #expect(other?.code == .usage)
        // A key that no row can have.
        let key = await #expect(throws: KappaError.self) {
            try await kappa.row(of: view(Renamed.self, "new"), key: 5)
        }
        #expect(key?.code == .usage)
        await kappa.close()
    }

    @Test("for followers, a column that keeps its bytes but changes its type is a change")
    func retypedFollowers() throws {
        struct Whole: BuildRow {
            var seq: Int
            static func made(_ n: Int) -> Whole { Whole(seq: n) }
        }
        struct Time: BuildRow {
            var seq: Timestamp
            static func made(_ n: Int) -> Time { Time(seq: Timestamp(microseconds: Int64(n))) }
        }
        let folder = try VersionsFolder()
        try folder.append([try Kappa.json(of: Fact(key: "a", n: 5))])
        try folder.catchUp([view(Whole.self, "old")])
        let follower = ChangeFollower("orders", try folder.catalog(), from: .rows)
        _ = try follower.poll { _ in }
        try folder.catchUp([view(Time.self, "new")])
        var changes: [Change] = []
        _ = try follower.poll { changes.append($0) }
        #expect(changes.map(\.operation) == [.promoted, .update])
        #expect(changes.last?.before?.contains("5") == true)
        #expect(changes.last?.after?.contains("1970") == true)
    }
}
