/// One definition, replayed for the sake of one row: only events that may touch it are applied, each
/// with a commit of its own.
final class KeyTrace {
    let schema: TableSchema
    /// The row as of the last event that was applied; of a session window, the session of that event.
    private(set) var row: [Value]?
    private let finder: any KeyFinder
    private let version: VersionMaterializer
    private let store: WatchedStore
    private let table: Int
    private let key: [Value]
    private let session: SessionWatch?
    /// Whether only candidates are applied: the events between them leave the row as it is.
    private let skips: Bool
    private var candidates: [KeyCandidate] = []
    private var next = 0
    private let scratch: ScratchFolder
    /// Tells which event the view's code crashes on.
    private let crash: AsideCrash

    /// What is asked for.
    struct Question {
        var key: JSONValue
        /// Nil for the view's first table.
        var table: String?
        /// Times that a session must reach into; nil for the session under the key as it is.
        var span: Range<Int64>?
        /// Whether every event is applied to the whole view, as a slow and obvious way.
        var isThorough = false
    }

    /// - Parameters:
    ///   - plan: Of the batches in which candidates are looked for.
    ///   - singles: Of the batches of one event that are applied.
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
        // Without a first commit there is no file to commit single events to.
        try version.commit()
    }

    private static let budgetBytes = 1 << 29

    /// The table of the row that is asked for.
    /// - Throws: `.notFound` for a table that there is not, `.usage` for what is no key of it.
    static func schema(
        _ definition: ViewDefinition, _ question: Question
    ) throws(KappaError) -> TableSchema {
        let schema = try KeyPlace(of: question.table, in: definition).schema
        _ = try schema.key(question.key)
        return schema
    }

    // MARK: Replaying

    /// Looks for candidates in the next batch of the log.
    func load(_ batch: EventBatch) {
        candidates.removeAll(keepingCapacity: true)
        next = 0
        crash.mark.during(.applying, batch.firstOffset, batch.firstOffset + batch.count) {
            finder.find(in: batch, into: &candidates)
        }
    }

    /// The pieces in which to get from an offset to another one, so that it shows on which event the view's
    /// code crashes.
    func stretches(from offset: Offset, to end: Offset) -> [CrashRecovery.Stretch] {
        crash.stretches(from: offset, to: end)
    }

    /// Whether a crash from now on is due to the event at hand.
    var isSuspect: Bool {
        get { crash.mark.isAlone }
        set { crash.mark.isAlone = newValue }
    }

    /// Looks at one event that an index names.
    /// - Parameter streamTime: The step's stream time before it.
    func load(_ single: EventBatch, streamTime: Int64) {
        load(single)
        for index in candidates.indices { candidates[index].streamTime = streamTime }
    }

    /// The first candidate of the batch that was not applied yet, as an index into the batch.
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
                to: single.firstOffset, digest: digest, streamTimes: [candidate.streamTime])
        }
        try version.apply(single, from: digest, to: digest)
        // A crash in a commit is due to one event only where each has its own.
        guard version.dirtyRows > 0 || isSuspect else { return false }
        store.forget()
        try version.commit()
        guard store.wasWritten else { return false }
        guard let session, let open = session.openPart else {
            row = try row(under: key)
            return true
        }
        // Of the key's sessions it is the one that was written, if it is one that is asked for.
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

    /// The times of the session under the key; nil where the table has no sessions, or no such row.
    var sessionSpan: Range<Int64>? { row.flatMap { session?.span(of: $0) } }
}

/// Follows a session while it grows and merges: its key changes on the way.
private struct SessionWatch {
    /// Which part of the key may be any: the start. Nil where the key is taken as it is.
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

    /// Whether a session reaches into the times that are asked for.
    func isWanted(_ row: [Value]) -> Bool {
        guard let span, let own = self.span(of: row) else { return false }
        return span.overlaps(own)
    }
}

extension RowWriter {
    /// Binds a part of a key; the writer copies a text.
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
