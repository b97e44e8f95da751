/// Finds the events that touch the row of one key, or that may: all events of the key's type and value, also those
/// that are late or that change nothing.
///
/// It works for tables whose rows depend only on the events of their own key: aggregations of events, and folds
/// whose handlers read no other rows.
package struct KeyEvents: Sendable {
    private let definition: ViewDefinition
    private let table: String?
    private let key: [Value]
    private let folder: DataFolder

    /// An event of the log.
    package struct Found: Sendable {
        package var offset: Offset
        /// Its JSON, as appended.
        package var event: String
    }

    /// - Throws: `.usage` if the table has no such keys, or if its rows depend on events of other keys.
    package init(
        _ definition: ViewDefinition, table: String? = nil, key: RowKey, in folder: DataFolder
    ) throws(KappaError) {
        self.definition = definition
        self.table = table
        self.folder = folder
        let place = try KeyPlace(of: table, in: definition)
        self.key = try key.cells(of: place.schema)
        _ = try finder(ExtractionPlan())
    }

    /// How many events are read at most to judge an append, beyond what an index has.
    static let mostScanned = 100_000

    /// The key's events in a stretch of the log, in log order.
    /// - Parameters:
    ///   - version: The version whose index is used as far as it reaches, if it has one.
    ///   - mostScanned: How many events may be read beyond the index.
    /// - Throws: `.refused` if there are more.
    package func find(
        from start: Offset, to end: Offset, version: VersionID?, mostScanned: Int = .max
    ) throws -> [Found] {
        var found: [Found] = []
        let scanned = try findIndexed(from: start, to: end, version, &found)
        if end - scanned > mostScanned {
            throw KappaError(
                .refused, "too many events came since offset \(start)",
                at: "view \(definition.name)",
                because:
                    "\(end - scanned) events are not in the index of a live version, and at most "
                    + "\(mostScanned) are read for an append",
                advice: definition.isIndexed
                    ? "Nothing was appended. Wait until the view has caught up, and append again"
                    : "Nothing was appended. Give the view .indexed(), or append soon after reading"
            )
        }
        try scan(from: scanned, to: end, &found)
        return found
    }

    /// Judges single events, for ``AppendCondition``.
    func judge() throws -> AppendCondition.Judge {
        let plan = ExtractionPlan()
        let (finder, single) = (try finder(plan), SingleEvent(plan))
        return { line, offset, run in
            try single.load(line, at: offset, [run])
            return Self.holds(finder, single.batch)
        }
    }

    private func finder(_ plan: ExtractionPlan) throws(KappaError) -> any KeyFinder {
        let place = try KeyPlace(of: table, in: definition)
        let name = place.schema.name
        guard let finder = try place.finder(key.compactMap { KeyPart($0) }, plan) else {
            throw KappaError(
                .usage, "the events of a key of \(name) cannot be found",
                at: "view \(definition.name)",
                because: "its rows may depend on events of other keys",
                advice: "Ask an aggregation of events, or a fold whose handlers read no other rows")
        }
        return finder
    }

    private static func holds(_ finder: any KeyFinder, _ batch: EventBatch) -> Bool {
        var candidates: [KeyCandidate] = []
        finder.find(in: batch, into: &candidates)
        return !candidates.isEmpty
    }

    /// Finds events in the version's index.
    /// - Returns: The offset up to which it has them.
    private func findIndexed(
        from start: Offset, to end: Offset, _ version: VersionID?, _ found: inout [Found]
    ) throws -> Offset {
        guard let version, definition.isIndexed, folder.hasFile(version) else { return start }
        let place = try KeyPlace(of: table, in: definition)
        let reader = try folder.reader(version)
        // One snapshot, so that the index does not change while events are read.
        try reader.hold()
        guard reader.digest == definition.digest,
            let indexed = try reader.keyIndexEnd(ofTable: place.table), indexed > start,
            let hashes = place.hashes(key.compactMap { KeyPart($0) })
        else { return start }
        let until = min(indexed, end)
        let cursor = try KeyIndexCursor(reader, place, hashes: hashes)
        if start > .zero { try cursor.advance(past: start.rawValue - 1) }
        let plan = ExtractionPlan()
        let (finder, single) = (try finder(plan), SingleEvent(plan))
        let log = try LogReader(folder.log, countsEvents: true)
        let first = try log.firstOffset
        let picker = EventPicker(log)
        while let entry = cursor.entry, entry.offset < until.rawValue {
            let offset = Offset(entry.offset)
            if offset >= first {
                let picked = try picker.event(at: offset)
                try single.load(picked.line, at: offset, [picked.run])
                // Two keys may have one hash.
                if Self.holds(finder, single.batch) {
                    found.append(Found(offset: offset, event: single.batch.event(0)))
                }
            }
            try cursor.advance(past: entry.offset)
        }
        return until
    }

    private func scan(from start: Offset, to end: Offset, _ found: inout [Found]) throws {
        if start >= end { return }
        let plan = ExtractionPlan()
        let finder = try finder(plan)
        let reader = try LogReader(folder.log)
        try reader.seek(to: max(start, reader.firstOffset))
        let pipeline = try BatchPipeline(reader, plan: plan, upTo: end, waits: false)
        defer { pipeline.stop() }
        var candidates: [KeyCandidate] = []
        while true {
            switch pipeline.next() {
            case .batch(let slot):
                candidates.removeAll(keepingCapacity: true)
                finder.find(in: slot.batch, into: &candidates)
                for candidate in candidates {
                    found.append(
                        Found(
                            offset: slot.batch.firstOffset + candidate.event,
                            event: slot.batch.event(candidate.event)))
                }
                pipeline.recycle(slot)
            case .caughtUp, .ended: return
            case .failed(let error): throw error
            }
        }
    }
}
