import Glibc

/// Reads the log block by block, up to its durable end, and checks every byte.
///
/// A reader is used by one thread at a time. Small blocks are combined, so that a log of single appends
/// replays as fast as an imported one.
package final class LogReader {
    package let folder: String
    /// The offset of the next event.
    package private(set) var offset = Offset.zero
    /// The digest of all events below `offset`.
    package private(set) var digest = LogDigest.empty

    private let headFile: OpenFile
    private var head: LogHead
    private var segment: OpenFile?
    private var segmentFirst = Offset.zero
    private var position = 0
    private var decompressor: BlockDecompressor?
    private let window = ReadWindow()
    private let countsEvents: Bool
    /// How many events of the block at `position` come before `offset`. They are read, but not returned.
    private var skipping = 0
    /// How many blocks of the log were read to the end.
    package private(set) var blocksRead = 0

    /// Up to how many bytes small blocks are combined.
    private static let targetBytes = 1 << 20

    /// Opens the log in `folder` at its first offset.
    /// - Parameter countsEvents: Whether each block's events are counted and compared with its header.
    package init(_ folder: String, countsEvents: Bool = false) throws(KappaError) {
        self.folder = folder
        self.countsEvents = countsEvents
        headFile = try LogRecovery.openHead(folder)
        guard let head = try LogHead.read(headFile) else {
            throw KappaError(
                .damaged, "the log's head cannot be read", at: LogHead.path(folder),
                because: "another process may be writing it over and over",
                advice: "Remove the file: it is rebuilt from the segments")
        }
        self.head = head
        try seekToBeginning()
    }

    /// The offset after the last durable event, looked up now.
    package func durableEnd() throws(KappaError) -> Offset {
        if let head = try LogHead.read(headFile) { self.head = head }
        return head.nextOffset
    }

    /// What is past the durable end, looked up now.
    func pastEnd() throws(KappaError) -> LogPastEnd {
        _ = try durableEnd()
        return try LogRecovery.pastEnd(folder, head)
    }

    /// Checks that the head fits the blocks that were read, from the first to the last, and their segments.
    func checkEnd() throws(KappaError) {
        _ = try durableEnd()
        let (beginning, firsts) = try SegmentFiles.present(folder)
        let (segments, trimmed) = (firsts.count { $0 <= head.segment }, beginning.segments)
        guard offset == head.nextOffset else { return }
        var reason: String?
        if digest != head.digest { reason = "its digest is not that of the log's events" }
        if let earlier = head.earlierSegments, segments > 0, earlier + 1 != segments + trimmed {
            reason =
                "it states \(earlier + 1) segments, and there are \(segments)"
                + (trimmed > 0 ? " beside \(trimmed) that were trimmed" : "")
        }
        guard let reason else { return }
        throw KappaError(
            .damaged, "the log's head does not fit the log", at: headFile.path, because: reason,
            advice:
                "Restore the folder from a copy, or remove the head: it is made again from the segments"
        )
    }

    /// The offset of the log's first event, looked up now: 0 unless the log was trimmed.
    package var firstOffset: Offset {
        get throws(KappaError) { try LogBeginning.read(folder).first }
    }

    /// Moves to the log's first event.
    package func seekToBeginning() throws(KappaError) {
        while true {
            let first = try firstOffset
            do throws(KappaError) { return try seek(to: first) } catch {
                // It may have been trimmed meanwhile.
                if error.code != .notFound { throw error }
                if try firstOffset == first { throw error }
            }
        }
    }

    /// The first offsets of the segments that hold durable events, ascending, looked up now.
    func segments() throws(KappaError) -> [Offset] {
        _ = try durableEnd()
        return try SegmentFiles.durable(folder, head)
    }

    /// Moves to an offset, which may be the log's end but not past it.
    package func seek(to target: Offset) throws(KappaError) {
        _ = try durableEnd()
        guard target <= head.nextOffset else {
            throw KappaError(
                .notFound, "offset \(target) is past the end of the log", at: folder,
                because: "the log ends at offset \(head.nextOffset)",
                advice: "If a view had reached it, events are lost: restore the log's folder")
        }
        let firsts = try SegmentFiles.durable(folder, head)
        guard let first = firsts.last(where: { $0 <= target }) else {
            if target == .zero, head.nextOffset == .zero { return }
            throw try absent(target, .zero)
        }
        try open(first)
        offset = first
        while let header = try peekHeader() {
            digest = header.digestBefore
            if target < header.nextOffset {
                offset = header.firstOffset
                skipping = target - header.firstOffset
                if skipping > 0 { digest = try digestInside(header, events: skipping) }
                offset = target
                return
            }
            offset = header.nextOffset
            digest = header.digestAfter
            position += header.blockSize
        }
        // A segment that was only just started has no block that states the digest.
        if offset == head.nextOffset { digest = head.digest }
        guard offset == target else { throw missing(segment: first, wanted: target) }
    }

    /// Moves to the beginning of the block that holds an event, and reads only the headers of the blocks
    /// before it. This is fast for events that are far apart, and fastest in ascending order.
    func seek(toBlockOf target: Offset) throws(KappaError) {
        let first = try segments().last { $0 <= target }
        guard let first, head.nextOffset > target else {
            throw try absent(target, first ?? .zero)
        }
        if segment == nil || first != segmentFirst || target < offset || skipping > 0 {
            try open(first)
            offset = first
        }
        while let header = try peekHeader() {
            digest = header.digestBefore
            if target < header.nextOffset { return }
            offset = header.nextOffset
            position += header.blockSize
        }
        throw missing(segment: first, wanted: target)
    }

    /// The digest of the log below an offset.
    package func digest(at target: Offset) throws(KappaError) -> LogDigest {
        try seek(to: target)
        return digest
    }

    /// The next events, at most up to offset `end`; nil at the durable end.
    package func next(
        into buffer: BlockBuffer, upTo end: Offset? = nil
    ) throws(KappaError) -> LogBlock? {
        if let end, offset >= end { return nil }
        var used = 0
        var appended = 0
        var start = 0
        var block: LogBlock?
        while true {
            let header: BlockHeader
            let runs: [IngestionRun]
            let range: Wanted
            do throws(KappaError) {
                guard let next = try peekHeader() else { break }
                // Of an erased block little is left; together they must not have been too large.
                let size = max(used + next.rawSize, appended + next.appendedSize)
                if block != nil, size > Self.targetBytes { break }
                header = next
                runs = try read(header, into: buffer, at: used)
                range = try wanted(header, in: buffer, at: used, upTo: end)
            } catch {
                // Return the sound events before the damage; the next call finds the damage again.
                if block == nil { throw error }
                break
            }
            if block == nil {
                start = used + range.bytes.lowerBound
                block = LogBlock(
                    firstOffset: offset, events: 0, payload: .init(start: nil, count: 0), runs: [],
                    digestBefore: digest, digestAfter: digest)
            }
            used += range.bytes.upperBound
            appended += header.appendedSize
            block?.events += range.events.count
            let isWhole = range.events == 0..<header.events
            let parts = isWhole ? runs : BlockLines.cut(runs, to: range.events)
            block?.runs += parts
            digest =
                isWhole
                ? header.digestAfter
                : try digest(
                    .init(buffer.slice((used - range.bytes.count)..<used)), parts, after: digest)
            offset = header.firstOffset + range.events.upperBound
            if range.events.upperBound < header.events {
                // The next call reads the block again, from the same position, for the rest.
                skipping = range.events.upperBound
                break
            }
            skipping = 0
            position += header.blockSize
            blocksRead += 1
            if let end, offset >= end { break }
        }
        guard var block else { return nil }
        block.payload = buffer.payload(start..<used)
        block.digestAfter = digest
        return block
    }

    // MARK: Blocks

    /// The header at the current position; nil at the durable end. Moves on to the next segment.
    private func peekHeader() throws(KappaError) -> BlockHeader? {
        while true {
            guard let segment else {
                guard try durableEnd() > offset else { return nil }
                try open(offset)
                continue
            }
            let isLast = segmentFirst == head.segment
            let limit = isLast ? head.segmentBytes : segment.size
            if position >= limit {
                let before = head
                _ = try durableEnd()
                if head != before { continue }
                if isLast { return nil }
                if offset == segmentFirst { throw damage("it is empty, but is not the last") }
                try open(offset)
                continue
            }
            let bytes = try window.bytes(
                of: segment, at: position, count: BlockHeader.mostBytes, limit)
            guard let header = BlockHeader(bytes) else {
                throw damage("it has no block where one must begin")
            }
            let size = header.size + header.runsSize
            let whole = try window.bytes(of: segment, at: position, count: size, limit)
            guard whole.count == size, BlockHeader.isSound(whole) else {
                throw damage("a block's header does not fit its checksum")
            }
            guard position + header.blockSize <= limit else {
                throw damage("a block is cut short")
            }
            if skipping == 0, header.firstOffset != offset {
                throw damage(
                    "a block begins at offset \(header.firstOffset), where \(offset) must come")
            }
            return header
        }
    }

    private func open(_ first: Offset) throws(KappaError) {
        let path = SegmentFiles.path(folder, first)
        if try !IOFailure.isThere(path) { throw try absent(first, first) }
        segment = try OpenFile(reading: path)
        segmentFirst = first
        position = 0
        skipping = 0
        window.forget()
    }

    /// Reads and checks a block's payload; its raw bytes are in the buffer from `at` on.
    private func read(
        _ header: BlockHeader, into buffer: BlockBuffer, at: Int
    ) throws(KappaError) -> [IngestionRun] {
        guard let segment else { return [] }
        buffer.reserve(at + header.rawSize, keeping: at)
        let head = try window.bytes(
            of: segment, at: position, count: header.size + header.runsSize,
            position + header.blockSize)
        let runBytes = UnsafeRawBufferPointer(rebasing: head[header.size...])
        guard let runs = IngestionRun.decode(runBytes, header.format),
            runs.reduce(0, { $0 + $1.events }) == header.events
        else { throw damage("a block's runs cannot be read") }
        let payloadAt = position + header.size + header.runsSize
        let target = buffer.slice(at..<(at + header.rawSize))
        switch header.codec {
        case .raw:
            guard header.storedSize == header.rawSize else {
                throw damage("a raw block has two different sizes")
            }
            try window.copy(of: segment, at: payloadAt, to: target)
        case .zstd:
            let decompressor = self.decompressor ?? BlockDecompressor()
            self.decompressor = decompressor
            try window.copy(
                of: segment, at: payloadAt, to: decompressor.stored(header.storedSize))
            guard decompressor.unpack(header.storedSize, into: target) else {
                throw damage("a compressed block cannot be read")
            }
        }
        guard crc32c(UnsafeRawBufferPointer(target)) == header.rawCRC else {
            throw damage("a block's events do not fit their checksum")
        }
        if skipping == 0, header.digestBefore != digest {
            throw damage("a block does not follow the one before it")
        }
        if countsEvents {
            let count = BlockLines.count(UnsafeRawBufferPointer(target))
            guard count == header.events else {
                throw damage("a block has \(count) events and its header says \(header.events)")
            }
        }
        let isErased = runs.contains { !$0.erased.isEmpty }
        let isAsAppended =
            header.appendedSize == header.rawSize && header.appendedCRC == header.rawCRC
        guard isErased || isAsAppended else { throw damage("a block lacks what was appended") }
        if isErased {
            let payload = UnsafeRawBufferPointer(target)
            guard try digest(payload, runs, after: header.digestBefore) == header.digestAfter else {
                throw damage("a block's erased events do not fit its digest")
            }
        }
        return runs
    }

    private struct Wanted {
        var events: Range<Int>
        var bytes: Range<Int>
    }

    /// The part of a block from `skipping` on and below `end`.
    private func wanted(
        _ header: BlockHeader, in buffer: BlockBuffer, at: Int, upTo end: Offset?
    ) throws(KappaError) -> Wanted {
        var last = header.events
        if let end, end < header.nextOffset { last = end - header.firstOffset }
        if skipping == 0, last == header.events {
            return Wanted(events: 0..<last, bytes: 0..<header.rawSize)
        }
        let payload = UnsafeRawBufferPointer(buffer.slice(at..<(at + header.rawSize)))
        guard let lower = BlockLines.end(of: skipping, in: payload),
            let upper = BlockLines.end(of: last, in: payload)
        else { throw damage("a block has fewer events than its header states") }
        return Wanted(events: skipping..<last, bytes: lower..<upper)
    }

    private func digest(
        _ payload: UnsafeRawBufferPointer, _ runs: [IngestionRun], after before: LogDigest
    ) throws(KappaError) -> LogDigest {
        guard let digest = BlockLines.digest(payload, runs, after: before) else {
            throw damage("a block does not hold the events that its header states")
        }
        return digest
    }

    private func digestInside(_ header: BlockHeader, events: Int) throws(KappaError) -> LogDigest {
        let buffer = BlockBuffer(capacity: header.rawSize)
        let saved = skipping
        skipping = 0
        let runs = try read(header, into: buffer, at: 0)
        skipping = saved
        let payload = UnsafeRawBufferPointer(buffer.slice(0..<header.rawSize))
        guard let end = BlockLines.end(of: events, in: payload) else {
            throw damage("a block has fewer events than its header states")
        }
        return try digest(
            .init(rebasing: payload[0..<end]), BlockLines.cut(runs, to: 0..<events),
            after: header.digestBefore)
    }

    // MARK: Errors

    private func damage(_ why: String) -> KappaError {
        KappaError(
            .damaged, "the log is damaged",
            at: "\(SegmentFiles.path(folder, segmentFirst)), byte \(position), offset \(offset)",
            because: why,
            advice: "Nothing was skipped or cut. Restore the file from a copy; "
                + "`kappa log verify` shows how far the log is sound")
    }

    /// The error for an event whose segment is not there.
    private func absent(_ offset: Offset, _ segment: Offset) throws(KappaError) -> KappaError {
        let beginning = try LogBeginning.read(folder)
        return offset < beginning.first
            ? beginning.lacks(offset, folder)
            : missing(segment: max(segment, beginning.first), wanted: offset)
    }

    private func missing(segment: Offset, wanted: Offset) -> KappaError {
        KappaError(
            .damaged, "a segment of the log is missing",
            at: "\(SegmentFiles.path(folder, segment)), offset \(wanted)",
            because: "no segment holds offset \(wanted), and the log ends at \(head.nextOffset)",
            advice: "Restore the missing file from a copy")
    }
}
