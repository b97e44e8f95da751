/// Proves that the events which an import skips are those that the log has of the source.
///
/// The log's runs have digests of the source. Some of them are checkpoints: where the import reaches one, the
/// digest of what it has read must be the same. If it is not, the events since the checkpoint before it are
/// compared with the log's, one by one, to name the line that differs.
///
/// Positions count events from a base on: for the files of an import from 0, for a file that rotates from
/// where its present file begins (see ``FileSource``).
struct SourceProof {
    private let folder: String
    private let name: String
    private let base: UInt64
    /// The log's position before the base; nil if the source begins there.
    private(set) var before: UInt64?
    /// The position after the source's events in the log, as far as this import knows.
    private(set) var known: UInt64 = 0
    /// Why all events of the source had to be read; nil if they had not.
    private(set) var notice: String?
    private var checkpoints: ArraySlice<SourceCheckpoint> = []
    /// The digest of the events that were passed.
    private(set) var digest = LogDigest.empty
    /// The position after the events that were passed.
    private(set) var position: UInt64
    /// The texts that were read since the last checkpoint, or the last of them.
    private var held: [HeldText] = []
    private static let mostHeldBytes = 16 << 20
    private static let textBytes = 64 << 10
    /// The position of the last text that is held.
    private var heldPosition: UInt64?
    /// The last checkpoint that was reached.
    private var proven: SourceCheckpoint?
    /// The log no longer has the events before this.
    private var trimmed: SourceCheckpoint?

    private struct HeldText {
        var bytes: [UInt8]
        var place: String
        var firstLine: Int
        /// The line after its last one.
        var nextLine: Int
        /// The position of its first event.
        var position: UInt64
    }

    /// - Throws: `.usage` if the source's positions do not count events.
    init(
        _ folder: String, _ name: String, upTo point: SourcePoint, from base: UInt64 = 0
    ) throws(KappaError) {
        self.folder = folder
        self.name = name
        self.base = base
        position = base
        try update(point)
    }

    /// Learns what the log has, which may have grown since: another process may import the same source.
    /// - Throws: `.usage` if the source's positions do not count events.
    mutating func update(_ point: SourcePoint) throws(KappaError) {
        known = point.position
        if point == .start { return }
        let stated = try SourceCheckpoint.stated(folder, name, upTo: point, from: base)
        guard point.eventsPast == 0, base + stated.events == point.position else {
            throw KappaError(
                .usage, "source \(name) cannot be appended from a file",
                because: "its positions do not count events", advice: "Choose another name")
        }
        if position == base, let start = stated.start {
            before = stated.before
            digest = start.digest
            proven = start
        }
        trimmed = stated.trimmed
        var all = stated.checkpoints
        if point.digest == nil {
            all = try SourceCheckpoint.read(folder, name, upTo: point.position)
            notice = Self.noDigest(name)
        }
        checkpoints = all.filter { $0.position > position }[...]
    }

    static func noDigest(_ name: String) -> String {
        "an earlier kappa imported source \(name), without a digest; its events in the log "
            + "were read to make one"
    }

    /// Compares the next events with what the log has of them.
    /// - Parameters:
    ///   - text: The lines as they were read, from line `firstLine` of a file on.
    ///   - place: What comes before the number of a line in errors.
    /// - Throws: `.badInput`, with the line, if the log has another event in its place.
    mutating func compare(
        _ lines: EventLines, _ text: ArraySlice<UInt8>, at place: String, _ range: Range<Int>
    ) throws(KappaError) {
        if checkpoints.isEmpty { return }
        hold(text, place, range)
        while let next = checkpoints.first, next.position <= position + UInt64(lines.count) {
            let count = Int(next.position - position)
            if lines.digest(ofFirst: count, after: digest) != next.digest {
                throw try difference(before: next.position)
            }
            proven = next
            checkpoints = checkpoints.dropFirst()
            held.removeFirst(held.count - 1)
        }
    }

    /// Goes past events that the log has now.
    mutating func pass(_ lines: EventLines) {
        position += UInt64(lines.count)
        digest = lines.digest(ofFirst: lines.count, after: digest)
        if checkpoints.isEmpty { held = [] }
    }

    /// Keeps a text until the next checkpoint has been reached.
    private mutating func hold(_ text: ArraySlice<UInt8>, _ place: String, _ range: Range<Int>) {
        // It is compared once more where the log has grown meanwhile.
        if heldPosition == position { return }
        heldPosition = position
        let last = held.count - 1
        // Many small texts make few large ones.
        if last >= 0, held[last].place == place, held[last].nextLine == range.lowerBound,
            held[last].bytes.count < Self.textBytes
        {
            held[last].bytes += text
            held[last].nextLine = range.upperBound
            return
        }
        held.append(
            HeldText(
                bytes: Array(text), place: place, firstLine: range.lowerBound,
                nextLine: range.upperBound, position: position))
        // Runs of an earlier kappa have no digests, so that the next checkpoint may be far.
        var bytes = held.reduce(0) { $0 + $1.bytes.count }
        while bytes > Self.mostHeldBytes, held.count > 1 { bytes -= held.removeFirst().bytes.count }
    }

    /// - Parameter input: The name of the last input, for errors.
    /// - Throws: `.badInput` if the log has more events than were passed.
    func finish(_ input: String) throws(KappaError) {
        if position >= known { return }
        if let error = try differing(before: position) { throw error }
        if position == 0 {
            throw KappaError(
                .badInput, "source \(name) is empty", at: input,
                because: "the log has \(known) events of it",
                advice: "Nothing was appended. Check where the events come from")
        }
        throw KappaError(
            .badInput, "this is only a part of source \(name)", at: input,
            because: "it ends after event \(position), and the log has \(known) of it",
            advice:
                "Give the whole source: all its files in their order, the oldest first. Append other "
                + "events under another name")
    }

    // MARK: Finding the event that differs

    private func difference(before end: UInt64) throws(KappaError) -> KappaError {
        if let error = try differing(before: end) { return error }
        // The event that differs was read too long ago.
        let first = held.first
        return refusal(
            first.map { "\($0.place) \($0.firstLine)" } ?? folder,
            "one of the events up to number \(end) differs from the log's")
    }

    /// The refusal of the first held event before a position that differs from the log's; nil if none does.
    private func differing(before end: UInt64) throws(KappaError) -> KappaError? {
        var start = proven
        if let trimmed, trimmed.position > start?.position ?? 0 { start = trimmed }
        var events = SourceEvents(folder, name, after: start)
        var position = start?.position ?? 0
        for text in held {
            while position < text.position {
                _ = try events.next()
                position += 1
            }
            var line = text.firstLine
            var refusal: KappaError?
            var failure: KappaError?
            text.bytes.withUnsafeBytes { bytes in
                var at = text.position
                EventLines.forEachLine(bytes) { own, _ in
                    defer { line += 1 }
                    if EventLines.isBlank(own) || refusal != nil || failure != nil { return }
                    defer { at += 1 }
                    if at < position || at >= end { return }
                    position += 1
                    do throws(KappaError) {
                        let event = try events.next()
                        if event.isSame(as: own) { return }
                        refusal = self.refusal(
                            "\(text.place) \(line)",
                            "event \(at - base + 1) differs from the log's, at offset \(event.offset)"
                        )
                    } catch { failure = error }
                }
            }
            if let failure { throw failure }
            if let refusal { return refusal }
        }
        return nil
    }

    private func refusal(_ place: String, _ reason: String) -> KappaError {
        KappaError(
            .badInput, "this is not what was appended as source \(name)", at: place,
            because: reason,
            advice:
                "A source may only grow at its end. Append other events under another name, or correct "
                + "the file; `kappa log read --from OFFSET` shows the log's events")
    }
}

/// Where the log has so many events of a source, with such a digest.
struct SourceCheckpoint: Equatable {
    var position: UInt64
    var digest: LogDigest
    /// An offset after the last of these events, and before the next one.
    var offset: Offset

    /// How many bytes of a source come between two checkpoints, at least.
    private static let spacing: UInt64 = 256 << 10

    /// What the headers of the log's blocks state of a source.
    struct Stated {
        var checkpoints: [SourceCheckpoint] = []
        /// How many events the log has of the source from the base on.
        var events: UInt64 = 0
        /// Where they begin, and the source's position there; nil if it has none before them.
        var start: SourceCheckpoint?
        var before: UInt64?
        /// Up to where they were trimmed; nil if none were.
        var trimmed: SourceCheckpoint?
    }

    /// The checkpoints that the headers of the log's blocks state past a base, the last one at `point`.
    static func stated(
        _ folder: String, _ name: String, upTo point: SourcePoint, from base: UInt64 = 0
    ) throws(KappaError) -> Stated {
        var stated = Stated()
        var digest: LogDigest?
        try BlockWalk.headers(folder, behind: nil) { beginning in
            stated = Stated()
            guard let source = beginning.sources[name] else { return }
            let (position, at) = (source.point.position, beginning.first)
            digest = source.point.digest
            if position < base {
                stated.before = position
                stated.start = .init(position: base, digest: digest ?? .empty, offset: at)
                return
            }
            // Only those of the present file count from a base on.
            stated.events = base > 0 ? position - base : source.events
            stated.trimmed = .init(
                position: base + stated.events, digest: digest ?? .empty, offset: at)
            if let trimmed = stated.trimmed { stated.checkpoints = [trimmed] }
        } visit: { block in
            var offset = block.header.firstOffset
            for run in block.runs {
                offset = offset + run.events
                guard let source = run.source, source.name == name,
                    base + stated.events < point.position
                else { continue }
                if source.point.position < base, source.point.eventsPast == 0 {
                    stated = Stated(before: source.point.position)
                    digest = source.point.digest
                    stated.start = .init(
                        position: base, digest: digest ?? .empty, offset: offset)
                    continue
                }
                stated.events += UInt64(run.events)
                // A run that an earlier kappa appended has none.
                guard let digest = source.point.digest else { continue }
                let next = SourceCheckpoint(
                    position: base + stated.events, digest: digest, offset: offset)
                add(next, to: &stated.checkpoints, point)
            }
        }
        if let before = stated.before, digest == nil {
            let last = try read(folder, name, upTo: before).last
            stated.start?.digest = last?.digest ?? .empty
        }
        return stated
    }

    /// The checkpoints that the log's events give.
    static func read(
        _ folder: String, _ name: String, upTo end: UInt64
    ) throws(KappaError) -> [SourceCheckpoint] {
        var checkpoints: [SourceCheckpoint] = []
        var events = SourceEvents(folder, name, after: nil)
        var next = SourceCheckpoint(position: 0, digest: .empty, offset: .zero)
        let beginning = try LogBeginning.read(folder)
        if let source = beginning.sources[name] {
            next.position = source.events
            next.digest = source.point.digest ?? .empty
            next.offset = beginning.first
            add(next, to: &checkpoints, SourcePoint(end))
        }
        while next.position < end {
            let event = try events.next()
            if let erased = event.erased {
                next.digest = next.digest.appending(bytes: erased.bytes, crc: erased.crc)
            } else {
                next.digest = next.digest.appending(event.line)
            }
            next.position += 1
            next.offset = event.offset + 1
            add(next, to: &checkpoints, SourcePoint(end))
        }
        return checkpoints
    }

    private static func add(
        _ next: SourceCheckpoint, to checkpoints: inout [SourceCheckpoint], _ end: SourcePoint
    ) {
        let last = checkpoints.last?.digest.bytes ?? 0
        // A digest that shrinks is wrong; it is compared like any other.
        guard
            next.position == end.position || next.digest.bytes < last
                || next.digest.bytes - last >= spacing
        else { return }
        checkpoints.append(next)
    }
}
