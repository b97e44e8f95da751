/// Explains how one row came about: the events that touched it, in log order, and the row after each, under
/// one definition or two side by side.
package struct Why {
    /// An event that touched the row under at least one of the definitions.
    package struct Step: Sendable {
        package var offset: Offset
        /// The event's JSON, as appended.
        package var event: String
        /// The row after the event under each definition; nil if there is none.
        package var rows: [[Value]?]
        /// For each definition, whether the event touched the row.
        package var touched: [Bool]
        /// Whether this is the first event after which the rows differ.
        package var diverges = false
    }

    /// The row's table under each definition; nil if the definition has no such table, or if the key cannot
    /// be one of its keys. There is no row then.
    package let schemas: [TableSchema?]
    /// Why a definition cannot have the row; nil if it can.
    package let absences: [KappaError?]
    /// The definitions that can have the row, and their indices among all.
    private var definitions: [ViewDefinition]
    private var places: [Int]
    /// The name of each definition.
    private let names: [String]
    private let question: KeyTrace.Question
    private let end: Offset
    private let folder: DataFolder
    /// The log's first offset: what earlier events did to the row is not known.
    package let first: Offset
    /// The key index of each definition's version; empty if the log is read.
    private var indexes: [KeyIndexSource]
    /// Why the log is read although a definition asks for an index.
    package let unusedIndex: String?

    /// Whether the events are found in an index.
    package var usesIndex: Bool { !indexes.isEmpty }

    /// - Parameters:
    ///   - definitions: One, or two of the same view.
    ///   - key: The row's key as JSON. For a session, the key of the session as it is at `end`.
    ///   - table: The row's table; nil for the view's first.
    ///   - end: The offset up to which the log is replayed.
    ///   - versions: The version of each definition; its index is used if it has one.
    ///   - isThorough: Whether to apply every event to the whole view instead of finding those of the key.
    package init(
        _ definitions: [ViewDefinition], key: JSONValue, table: String? = nil, to end: Offset,
        in folder: DataFolder, versions: [VersionID?] = [], isThorough: Bool = false
    ) throws {
        self.end = end
        self.folder = folder
        first = try LogReader(folder.log).firstOffset
        let question = KeyTrace.Question(key: key, table: table, isThorough: isThorough)
        self.question = question
        let found = definitions.map { definition in
            Result { () throws(KappaError) in try KeyTrace.schema(definition, question) }
        }
        // A changed definition may have other keys. It is enough if the key fits one of the definitions.
        if !found.contains(where: { (try? $0.get()) != nil }) { _ = try found.first?.get() }
        schemas = found.map { try? $0.get() }
        absences = found.map { result in
            if case .failure(let error) = result { error } else { nil }
        }
        let places = definitions.indices.filter { [schemas] in schemas[$0] != nil }
        self.places = places
        let definitions = places.map { definitions[$0] }
        self.definitions = definitions
        names = schemas.indices.map { index in
            let version = versions.indices.contains(index) ? versions[index] : nil
            return version?.description ?? "the definition of this build"
        }
        try folder.requireLog(reaches: end)
        guard definitions.contains(where: \.isIndexed), !isThorough,
            versions.count == schemas.count
        else {
            (indexes, unusedIndex) = ([], nil)
            return
        }
        do {
            indexes = try zip(definitions, places.map { versions[$0] }).map { definition, version in
                try KeyIndexSource(definition, version, question, to: end, in: folder)
            }
            unusedIndex = nil
        } catch let unused as KeyIndexSource.Unused {
            indexes = []
            unusedIndex = unused.reason
        }
    }

    /// Visits the events that touched the row.
    /// - Parameter visit: Returns whether to continue.
    package func run(
        progress: ScratchVersion.Progress = { _, _ in }, _ visit: (Step) throws -> Bool
    ) throws {
        var question = question
        question.span = try sessionSpan(progress)
        var hasDiverged = false
        try replay(question, progress) { offset, event, traces, touched in
            var rows = [[Value]?](repeating: nil, count: schemas.count)
            var touchedHere = [Bool](repeating: false, count: schemas.count)
            for (place, (trace, isTouched)) in zip(places, zip(traces, touched)) {
                rows[place] = trace.row
                touchedHere[place] = isTouched
            }
            let diverges = !hasDiverged && rows.count == 2 && !isSame(rows)
            if diverges { hasDiverged = true }
            return try visit(
                Step(
                    offset: offset, event: event, rows: rows, touched: touchedHere,
                    diverges: diverges))
        }
    }

    /// The times that the key's sessions span at the end, under any of the definitions; nil if the table has
    /// no sessions.
    private func sessionSpan(_ progress: ScratchVersion.Progress) throws -> Range<Int64>? {
        let isSession = definitions.contains { definition in
            definition.steps.contains {
                if case .aggregation(let aggregation) = $0.kind,
                    case .session? = aggregation.window
                {
                    true
                } else {
                    false
                }
            }
        }
        guard isSession else { return nil }
        let traces = try replay(question, progress) { _, _, _, _ in true }
        let spans = traces.compactMap(\.sessionSpan)
        guard let first = spans.first else { return nil }
        return spans.dropFirst().reduce(first) { all, span in
            min(all.lowerBound, span.lowerBound)..<max(all.upperBound, span.upperBound)
        }
    }

    /// Why a version that another build made cannot have the row, according to its tables; nil if it can.
    package static func absence(
        of key: JSONValue, table: String?, in tables: [TableSchema]
    ) -> KappaError? {
        do throws(KappaError) {
            let visible = tables.filter { !$0.isInternal }
            guard let schema = visible.first(where: { $0.name == table ?? $0.name }) else {
                return KappaError(.notFound, "it has no table \(table ?? "")")
            }
            _ = try schema.key(key)
            return nil
        } catch { return error }
    }

    // MARK: Replaying

    private typealias Visit = (Offset, String, [KeyTrace], [Bool]) throws -> Bool

    /// Replays the definitions in lockstep and visits the events that touched the row under any of them.
    @discardableResult
    private func replay(
        _ question: KeyTrace.Question, _ progress: ScratchVersion.Progress, _ visit: Visit
    ) throws -> [KeyTrace] {
        try progress(.zero, end)
        try checkCode(progress)
        return usesIndex
            ? try replayIndexed(question, progress, visit)
            : try replayLog(question, progress, visit)
    }

    /// Reports all crashes at once. A crash of one definition's code ends the replay before another
    /// definition reaches its own crash, so the others are replayed without the one that crashed.
    /// - Throws: On which events the code of the definitions crashes.
    private func checkCode(_ progress: ScratchVersion.Progress) throws {
        let errors = zip(definitions, places).map { definition, place in
            AsideCrash(of: definition, in: folder)
                .error(ofReplayOf: names.count > 1 ? names[place] : nil)
        }
        guard var all = errors.compactMap(\.self).first else { return }
        let others = errors.indices.filter { errors[$0] == nil }
        if !others.isEmpty {
            var rest = self
            rest.definitions = others.map { definitions[$0] }
            rest.places = others.map { places[$0] }
            if usesIndex { rest.indexes = others.map { indexes[$0] } }
            _ = try rest.replay(question, progress) { _, _, _, _ in true }
        }
        for error in errors.compactMap(\.self).dropFirst() {
            all.place = [all.place, error.place].compactMap(\.self).joined(separator: "; ")
            all.reason = [all.reason, error.what, error.reason].compactMap(\.self)
                .joined(separator: "\n")
        }
        throw all
    }

    /// Reads only the events that the indexes name.
    private func replayIndexed(
        _ question: KeyTrace.Question, _ progress: ScratchVersion.Progress, _ visit: Visit
    ) throws -> [KeyTrace] {
        let plan = ExtractionPlan()
        let traces = try definitions.map {
            try KeyTrace($0, question, plan: plan, singles: plan, in: folder)
        }
        let single = SingleEvent(plan)
        let cursors = try indexes.map { try $0.cursor() }
        let picker = EventPicker(try LogReader(folder.log, countsEvents: true))
        while let next = cursors.compactMap({ $0.entry?.offset }).min(), next < end.rawValue {
            let offset = Offset(next)
            if offset < first {
                for cursor in cursors { try cursor.advance(past: next) }
                continue
            }
            let picked = try picker.event(at: offset)
            try single.load(picked.line, at: offset, [picked.run])
            for trace in traces {
                let piece = trace.stretches(from: offset, to: offset + 1).first
                trace.isSuspect = piece?.isSuspect ?? false
            }
            let touched = try zip(traces, cursors).map { trace, cursor in
                guard let entry = cursor.entry, entry.offset == next else { return false }
                trace.load(single.batch, streamTime: entry.streamTime)
                return trace.nextCandidate == nil ? false : try trace.apply(single.batch)
            }
            for cursor in cursors { try cursor.advance(past: next) }
            try progress(offset + 1, end)
            guard touched.contains(true) else { continue }
            let event = single.batch.event(0)
            guard try visit(offset, event, traces, touched) else { return traces }
        }
        return traces
    }

    /// Reads the whole log and finds the events of the key.
    private func replayLog(
        _ question: KeyTrace.Question, _ progress: ScratchVersion.Progress, _ visit: Visit
    ) throws -> [KeyTrace] {
        let plan = ExtractionPlan()
        let singles = ExtractionPlan()
        let traces = try definitions.map {
            try KeyTrace($0, question, plan: plan, singles: singles, in: folder)
        }
        let single = SingleEvent(singles)
        var offset = first
        for piece in AsideCrash.pieces(traces.map { $0.stretches(from: first, to: end) }) {
            for (trace, isSuspect) in zip(traces, piece.isSuspect) { trace.isSuspect = isSuspect }
            let reader = try LogReader(folder.log)
            try reader.seek(to: offset)
            let pipeline = try BatchPipeline(
                reader, plan: plan, upTo: piece.end, batchEvents: piece.batchEvents, waits: false)
            defer { pipeline.stop() }
            reading: while true {
                switch pipeline.next() {
                case .batch(let slot):
                    for trace in traces { trace.load(slot.batch) }
                    guard try apply(slot.batch, traces, single, visit) else { return traces }
                    offset = slot.batch.firstOffset + slot.batch.count
                    pipeline.recycle(slot)
                    try progress(offset, end)
                case .caughtUp, .ended: break reading
                case .failed(let error): throw error
                }
            }
        }
        return traces
    }

    /// Applies the candidates of a batch; returns whether to continue.
    private func apply(
        _ batch: EventBatch, _ traces: [KeyTrace], _ single: SingleEvent, _ visit: Visit
    ) throws -> Bool {
        while let event = traces.compactMap(\.nextCandidate).min() {
            let line = UnsafeRawBufferPointer(rebasing: batch.bytes(of: event))
            try single.load(line, at: batch.firstOffset + event, batch.runs(of: event))
            let touched = try traces.map { trace in
                trace.nextCandidate == event ? try trace.apply(single.batch) : false
            }
            guard touched.contains(true) else { continue }
            let isWanted = try visit(
                batch.firstOffset + event, batch.event(event), traces, touched)
            if !isWanted { return false }
        }
        return true
    }

    /// Whether two rows are equal by the rules of a comparison: column by column, by name. A column that only
    /// one of them has counts as null in the other.
    private func isSame(_ rows: [[Value]?]) -> Bool {
        guard let a = rows[0], let b = rows[1] else { return rows[0] == nil && rows[1] == nil }
        func cell(_ name: String, _ side: Int, _ row: [Value]) -> Value {
            let index = schemas[side]?.columns.firstIndex { $0.name == name }
            return index.map { row[$0] } ?? .null
        }
        return schemas.compactMap(\.self).flatMap(\.columns).allSatisfy {
            cell($0.name, 0, a) == cell($0.name, 1, b)
        }
    }
}
