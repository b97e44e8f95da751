/// How far a source is in the log.
package struct SourcePoint: Equatable, Sendable {
    /// The source's own number for what comes next. It grows, and may have gaps: for a file it counts events,
    /// for a partition of a Kafka topic it is the next offset.
    package var position: UInt64
    /// How many events past the position the log has. Only the last one of a batch has a position of its
    /// own; a writer may have died in the middle of the batch.
    package var eventsPast: UInt32
    /// The digest of all events of the source, as they are in the log. Nil in blocks of format 1.
    package var digest: LogDigest?

    package init(_ position: UInt64, eventsPast: UInt32 = 0, digest: LogDigest? = nil) {
        self.position = position
        self.eventsPast = eventsPast
        self.digest = digest
    }

    /// Before the first event.
    static let start = SourcePoint(0, digest: .empty)
}

/// A source, and how far it is in the log with the events of a run.
package struct SourceMark: Equatable, Sendable {
    package var name: String
    package var point: SourcePoint
}

/// Where a batch of events is in its source.
package struct SourceBatch: Sendable {
    package var name: String
    /// The position before its first event.
    package var position: UInt64
    /// The position after its last event. Nil where positions count events, so that each event has one.
    package var next: UInt64?
    /// The digest of all the source's events before the batch; nil if the caller does not know them. The
    /// writer compares it with what the log has.
    package var digest: LogDigest?

    package init(
        name: String, position: UInt64, next: UInt64? = nil, digest: LogDigest? = nil
    ) {
        self.name = name
        self.position = position
        self.next = next
        self.digest = digest
    }

    /// How many of the batch's first events the log has already.
    /// - Throws: `.badInput` if events between the log's and these are missing, or if the log has others.
    func known(of lines: EventLines, _ point: SourcePoint) throws(KappaError) -> Int {
        if let next {
            guard next > position else {
                throw KappaError(
                    .usage, "a batch of source \(name) ends where it begins",
                    because: "its positions are \(position) and \(next)",
                    advice: "Give the position after its last event, which must be larger")
            }
            if point.position >= next { return lines.count }
            guard point.position == position else { throw missing(point) }
            return min(lines.count, Int(point.eventsPast))
        }
        guard point.position >= position, point.eventsPast == 0,
            position <= UInt64.max - UInt64(lines.count)
        else { throw missing(point) }
        let count = Int(clamping: point.position - position)
        // Where the log has more than the batch, its digest says nothing of the batch alone.
        if count > lines.count, digest != nil { throw Self.ahead }
        if let digest, let stored = point.digest,
            lines.digest(ofFirst: count, after: digest) != stored
        {
            throw KappaError(
                .badInput, "these are not the events of source \(name)",
                at: "position \(position)",
                because: "the log has others before position \(point.position)",
                advice: "A source may only grow at its end. Append other events under another name")
        }
        return min(lines.count, count)
    }

    /// The log has events of the source past the batch, so that the batch must be compared by other means.
    static let ahead = KappaError(
        .heldElsewhere, "another process imports the same source",
        because: "the log has its events already", advice: "Try again when it has ended")

    /// How far the source is after the first `events` of the batch's `count`.
    func point(
        after events: Int, of count: Int, digest: LogDigest?
    ) -> SourcePoint {
        guard let next else { return SourcePoint(position + UInt64(events), digest: digest) }
        return events == count
            ? SourcePoint(next, digest: digest)
            : SourcePoint(position, eventsPast: UInt32(clamping: events), digest: digest)
    }

    /// How far the source is where the log had the whole batch already.
    func point(passing lines: EventLines, _ known: SourcePoint) -> SourcePoint {
        guard let next, known.position == position else { return known }
        return SourcePoint(
            next, eventsPast: known.eventsPast - UInt32(clamping: lines.count), digest: known.digest
        )
    }

    private func missing(_ point: SourcePoint) -> KappaError {
        let past = point.eventsPast > 0 ? " and \(point.eventsPast) events past it" : ""
        return KappaError(
            .badInput, "events of source \(name) are missing",
            because: "the log holds it up to position \(point.position)\(past), and these begin "
                + "at \(position)",
            advice: "Append the source from where the log ends, or from its beginning")
    }

    /// Checks a new source's name.
    /// - Throws: `.usage`
    package static func check(name: String) throws(KappaError) {
        let bytes = Array(name.utf8)
        func isLetter(_ byte: UInt8) -> Bool {
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte)
                || (0x61...0x7A).contains(byte)
        }
        if (1...200).contains(bytes.count), isLetter(bytes[0]),
            bytes.allSatisfy({ isLetter($0) || "._/@-".utf8.contains($0) })
        {
            return
        }
        throw KappaError(
            .usage, "\"\(name)\" cannot name a source",
            because:
                "a name has 1 to 200 letters, digits or ._/@- and begins with a letter or digit",
            advice: "Choose another name with --source")
    }
}
