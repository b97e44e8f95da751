import KappaCore

/// Merges the events and rows of this build with those of another build.
final class WhyMerge {
    /// Nil if the other build cannot have the row.
    private let other: OtherBuild?
    /// Which of the two sides is the other build's.
    private let otherIndex: Int
    /// The row's table in this build; nil if it cannot have the row.
    private let schema: TableSchema?
    /// The names of the key's columns in the other build.
    private let keys: [String]
    private let log: LogReader
    private let buffer = BlockBuffer()
    private let tell: (WhyMoment) throws -> Bool
    private var pending: OtherBuild.Step?
    private var rows: [WhyRow?] = [nil, nil]
    private var hasDiverged = false

    /// - Parameters:
    ///   - keys: The names of the key's columns in the other build.
    ///   - schema: The row's table in this build.
    ///   - tell: Receives the events of both in log order; returns whether to continue.
    init(
        _ other: OtherBuild?, at otherIndex: Int, keys: [String], _ schema: TableSchema?,
        log: String,
        _ tell: @escaping (WhyMoment) throws -> Bool
    ) throws {
        self.other = other
        self.otherIndex = otherIndex
        self.keys = keys
        self.schema = schema
        self.log = try LogReader(log)
        self.tell = tell
        pending = try other?.next()
    }

    /// Takes the next event of this build; returns whether to continue.
    func add(_ step: Why.Step) throws -> Bool {
        while let next = pending, next.offset < step.offset {
            guard try takeOther(next) else { return false }
        }
        rows[1 - otherIndex] = step.rows[0].flatMap { row in schema.map { WhyRow(row, $0) } }
        if let next = pending, next.offset == step.offset { try set(next) }
        return try told(step.offset, step.event)
    }

    /// Passes on the remaining events of the other build.
    func finish() throws {
        while let next = pending, try takeOther(next) {}
    }

    private func takeOther(_ step: OtherBuild.Step) throws -> Bool {
        try set(step)
        return try told(step.offset, try event(at: step.offset))
    }

    private func set(_ step: OtherBuild.Step) throws {
        rows[otherIndex] = step.row.map { WhyRow($0, keys: keys) }
        pending = try other?.next()
    }

    private func told(_ offset: Offset, _ event: String) throws -> Bool {
        var moment = WhyMoment(offset: offset, event: event, rows: rows)
        if !hasDiverged, !WhyRow.isSame(rows[0], rows[1]) {
            moment.diverges = true
            hasDiverged = true
        }
        return try tell(moment)
    }

    /// An event of the log as it was appended.
    private func event(at offset: Offset) throws -> String {
        try log.seek(to: offset)
        var event = "null"
        try log.next(into: buffer, upTo: offset + 1)?.forEachEvent { logged in
            if let json = logged.json { event = String(decoding: json, as: UTF8.self) }
            return false
        }
        return event
    }
}
