/// Trims a data folder's log, as far as its versions allow.
package struct LogTrim {
    private let folder: DataFolder

    package init(_ folder: DataFolder) { self.folder = folder }

    /// A version that still needs events of the log.
    private struct Need {
        var id: VersionID
        var state: VersionState
        var offset: Offset

        var text: String { "\(id), which is \(state.rawValue), is at offset \(offset)" }
    }

    /// Removes the segments that only have events before an offset. Nothing is rebuilt: versions keep the rows that
    /// they have; one that is built later begins at the log's first offset.
    /// - Returns: The log's first offset now.
    /// - Throws: `.refused` if a version has not applied all of these events; `.notFound` if the log ends before.
    package func trim(before offset: Offset) throws -> Offset {
        let end = try LogReader(folder.log).durableEnd()
        if offset <= end, let need = try needs(), need.offset < offset {
            throw KappaError(
                .refused, "the log cannot be trimmed before offset \(offset)", at: folder.log,
                because: "\(need.text), and needs the events from there on",
                advice: "Let it catch up with `kappa run`, or drop it: `kappa abort \(need.id)`")
        }
        return try LogTrimmer(folder.log).trim(before: offset)
    }

    /// The same, for the events that were appended before a time, in microseconds since 1970.
    package func trim(beforeMicros time: Int64) throws -> Offset {
        try trim(before: IngestionTimes.end(asOfMicros: time - 1, in: folder.log))
    }

    /// Applies a policy, as far as versions allow.
    package func apply(_ retention: LogRetention) throws -> Outcome {
        let before = try LogReader(folder.log).firstOffset
        var wanted = before
        if let age = retention.ageMicros {
            let time = SystemClock.wallMicroseconds() - age
            wanted = max(wanted, try IngestionTimes.end(asOfMicros: time, in: folder.log))
        }
        if let bytes = retention.bytes {
            wanted = max(wanted, try LogInfo.offset(keeping: bytes, in: folder.log))
        }
        if wanted <= before { return Outcome(first: before) }
        let need = try needs()
        let first = try LogTrimmer(folder.log).trim(before: min(wanted, need?.offset ?? wanted))
        let isHeld = need.map { $0.offset < wanted } ?? false
        return Outcome(
            first: first, isNew: first > before, heldBack: isHeld ? need?.text : nil)
    }

    /// What has become of a policy.
    package struct Outcome: Equatable, Sendable {
        /// The log's first offset now.
        package var first: Offset
        /// Whether something was trimmed.
        package var isNew = false
        /// The version that needs events which the policy no longer keeps; nil if none does.
        package var heldBack: String?
    }

    /// The version that needs the earliest events.
    private func needs() throws -> Need? {
        guard try IOFailure.isThere(folder.catalog) else { return nil }
        let catalog = try Catalog(folder)
        return try catalog.entries().filter { $0.isLive || $0.state.needsEvents }.map { entry in
            let offset = try position(of: entry.id)
            return Need(id: entry.id, state: entry.state, offset: offset)
        }.min { $0.offset < $1.offset }
    }

    /// The position of a version; one that has nothing yet begins at the log's first event.
    private func position(of id: VersionID) throws -> Offset {
        if folder.hasFile(id) { return try folder.reader(id).checkpoint().offset }
        let spilled = try SpilledRuns.checkpoint(folder.file(id))?.offset
        return try spilled ?? LogReader(folder.log).firstOffset
    }
}

extension VersionState {
    /// Whether a version goes on to apply events.
    fileprivate var needsEvents: Bool {
        switch self {
        case .building, .catchingUp, .ready, .live, .paused: true
        case .retired, .failed: false
        }
    }
}

/// How much of the log is kept. What either rule does not keep is trimmed, in whole segments.
package struct LogRetention: Equatable, Sendable {
    /// Events that were appended longer ago are not kept, in microseconds.
    package var ageMicros: Int64?
    /// The newest segments are kept that have this many bytes together.
    package var bytes: Int?

    package init(ageMicros: Int64? = nil, bytes: Int? = nil) {
        self.ageMicros = ageMicros
        self.bytes = bytes
    }

    /// Parses an age: `400d`, `12h`, `30m`, `90s`.
    package static func age(_ text: String) -> Int64? {
        let seconds: [Character: Int64] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]
        guard let unit = text.last.flatMap({ seconds[$0] }), let number = Int64(text.dropLast()),
            (1...1_000_000).contains(number)
        else { return nil }
        return number * unit * 1_000_000
    }
}

extension DataFolder {
    /// Checks that a replay from the log's first event gives a version's rows.
    /// - Throws: `.notFound` if it does not, because the log was trimmed after the version was begun.
    package func requireReplay(of id: VersionID) throws(KappaError) {
        let first = try LogReader(log).firstOffset
        guard first > .zero, hasFile(id) else { return }
        let began = try reader(id).checkpoint().began
        if began >= first { return }
        throw KappaError(
            .notFound, "\(id) cannot be replayed", at: log,
            because: "it began at offset \(began), and the log was trimmed: it begins at offset "
                + "\(first)",
            advice:
                "Its own rows and its snapshots are there. A version that is built now can be replayed"
        )
    }
}
