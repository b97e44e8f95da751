/// Replays one definition for one row: it applies only the events that may touch the row, each with its own
/// commit.
final class KeyTrace {
    let schema: TableSchema
    /// The row after the last event that was applied; for a session window, the session of that event.
    private(set) var row: [Value]?
    private let finder: any KeyFinder
    private let version: VersionMaterializer
    private let store: WatchedStore
    private let table: Int
    private let key: [Value]
    private let session: SessionWatch?
    /// Whether only candidates are applied, because the events between them leave the row as it is.
    private let skips: Bool
    private var candidates: [KeyCandidate] = []
    private var next = 0
    private let scratch: ScratchFolder
    /// Finds the event on which the view's code crashes.
    private let crash: AsideCrash

    /// The row to explain.
    struct Question {
        var key: JSONValue
        /// Nil for the view's first table.
        var table: String?
        /// A time range that a session must overlap; nil for the session with exactly the given key.
        var span: Range<Int64>?
        /// Whether to apply every event to the whole view: the slow and obvious way.
        var isThorough = false
    }

    /// - Parameters:
    ///   - plan: The plan of the batches in which candidates are searched.
    ///   - singles: The plan of the one-event batches that are applied.
    init(
        _ definition: ViewDefinition, _ question: Question, plan: ExtractionPlan,
        singles: ExtractionPlan, in folder: DataFolder
    ) throws {
        let place = try KeyPlace(of: question.table, in: definition)
        schema = place.schema
        let key = try schema.key(question.key)
        self.key = key
        crash = AsideCrash(of: definition, in: folder)
        try crash.check()
        let parts = key.compactMap { KeyPart($0) }
        let found = try place.finder(parts, plan)
        session = place.isSession ? SessionWatch(schema, question.span) : nil
        var applied = definition
        if let found, !question.isThorough {
            finder = found
            skips = true
            applied = definition.only(step: place.step)
            table = place.tableOfStep
        } else {
            finder = EveryEventFinder()
            skips = false
            table = place.table
        }
        scratch = try ScratchFolder(folder)
        let file = try VersionStore(
            at: scratch.path + "/aside.db", view: definition.name,
            number: ScratchVersion.noNumber, digest: definition.digest,
            tables: applied.tablesWithoutIndex)
        let open = session?.openPart
        store = WatchedStore(
            file, table: table, schema,
            key: parts.enumerated().map { $0.offset == open ? nil : $0.element })
        version = try VersionMaterializer(
            applied, store: store, plan: singles, budgetBytes: Self.budgetBytes,
            crashMark: crash.mark)
        let log = try LogReader(folder.log)
        version.begin(at: log.offset, log.digest)
        // The first commit makes the file that single events are committed to.
        try version.commit()
    }

    private static let budgetBytes = 1 << 29

    /// The table of the requested row.
    /// - Throws: `.notFound` if there is no such table, `.usage` if the key cannot be one of its keys.
    static func schema(
        _ definition: ViewDefinition, _ question: Question
    ) throws(KappaError) -> TableSchema {
        let schema = try KeyPlace(of: question.table, in: definition).schema
        _ = try schema.key(question.key)
        return schema
    }

    // MARK: Replaying

    /// Finds the candidates in the next batch of the log.
    func load(_ batch: EventBatch) {
        candidates.removeAll(keepingCapacity: true)
        next = 0
        crash.mark.during(.applying, batch.firstOffset, batch.firstOffset + batch.count) {
            finder.find(in: batch, into: &candidates)
        }
    }

    /// The stretches in which to replay from one offset to another, in order to find the event on which the
    /// view's code crashes.
    func stretches(from offset: Offset, to end: Offset) -> [CrashRecovery.Stretch] {
        crash.stretches(from: offset, to: end)
    }

    /// Whether a crash from now on is due to the current event.
    var isSuspect: Bool {
        get { crash.mark.isAlone }
        set { crash.mark.isAlone = newValue }
    }

    /// Checks one event that an index names.
    /// - Parameter streamTime: The step's stream time before the event.
    func load(_ single: EventBatch, streamTime: Int64) {
        load(single)
        for index in candidates.indices {
            candidates[index].streamTimes = StreamTimes([streamTime])
        }
    }

    /// The first candidate of the batch that has not been applied, as an index into the batch.
    var nextCandidate: Int? { next < candidates.count ? candidates[next].event : nil }

    /// Applies the next candidate.
    /// - Parameter single: The candidate alone.
    /// - Returns: Whether the event touched the row.
    func apply(_ single: EventBatch) throws -> Bool {
        let candidate = candidates[next]
        next += 1
        let digest = version.checkpoint.digest
        if skips {
            version.skip(
                to: single.firstOffset, digest: digest, streamTimes: candidate.streamTimes)
        }
        try version.apply(single, from: digest, to: digest)
        // While looking for a crash, commit after each event: only then is a crash in a commit due to one
        // event.
        guard version.dirtyRows > 0 || isSuspect else { return false }
        store.forget()
        try version.commit()
        guard store.wasWritten else { return false }
        guard let session, let open = session.openPart else {
            row = try row(under: key)
            return true
        }
        // A key has several sessions: take the one that was just written, if it overlaps the requested times.
        guard let start = store.lastOpenPart else { return false }
        var own = key
        own[open] = .timestamp(Timestamp(microseconds: start))
        guard let found = try row(under: own), session.isWanted(found) else { return false }
        row = found
        return true
    }

    private func row(under key: [Value]) throws -> [Value]? {
        var row: [Value]?
        _ = try store.lookUp(table: table) { writer in
            for (index, part) in key.enumerated() { writer.bindKeyPart(index, part) }
        } read: {
            row = schema.values($0)
        }
        return row
    }

    /// The times of the session with the key; nil if the table has no sessions, or no such row.
    var sessionSpan: Range<Int64>? { row.flatMap { session?.span(of: $0) } }
}

/// Follows a session while it grows and merges, which changes its key.
private struct SessionWatch {
    /// The part of the key that may have any value: the start. Nil if the key must match exactly.
    let openPart: Int?
    private let span: Range<Int64>?
    private let start: Int
    private let end: Int

    init(_ schema: TableSchema, _ span: Range<Int64>?) {
        self.span = span
        start = schema.columns.firstIndex { $0.name == "window_start" } ?? 0
        end = schema.columns.firstIndex { $0.name == "window_end" } ?? 0
        let start = start
        openPart = span.flatMap { _ in schema.keyColumns.firstIndex(of: start) }
    }

    func span(of row: [Value]) -> Range<Int64>? {
        guard case .timestamp(let from) = row[start], case .timestamp(let to) = row[end],
            from <= to
        else { return nil }
        return from.microseconds..<to.microseconds
    }

    /// Whether a session overlaps the requested times.
    func isWanted(_ row: [Value]) -> Bool {
        guard let span, let own = self.span(of: row) else { return false }
        return span.overlaps(own)
    }
}

extension RowWriter {
    /// Binds a part of a key. The writer copies texts.
    fileprivate func bindKeyPart(_ index: Int, _ part: Value) {
        switch part {
        case .bool(let bool): bind(index, Int64(bool ? 1 : 0))
        case .integer(let integer): bind(index, integer)
        case .timestamp(let time): bind(index, time.microseconds)
        case .text(let text), .json(let text): bind(index, text)
        case .null, .double, .decimal: bindNull(index)
        }
    }
}
