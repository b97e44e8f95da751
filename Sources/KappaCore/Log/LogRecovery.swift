import Glibc

/// Finds the durable end of a log when it is opened, even after a crash.
///
/// Nothing before the published head is ever cut. Past it there should be at most an append that was never
/// acknowledged: its whole blocks are made durable and kept, and a torn rest is cut off and kept in another
/// file. But the head may be older than the log's end (it is not synced), or lost. So where a later commit
/// proves that bytes past the head were durable, they are reported as damaged and never cut.
enum LogRecovery {
    struct Result {
        var head: LogHead
        var warnings: [String]
    }

    /// Opens the head for a reader, and recovers the log if the head is missing or torn.
    /// - Throws: `.notFound` if the folder does not exist.
    static func openHead(_ folder: String) throws(KappaError) -> OpenFile {
        let path = LogHead.path(folder)
        if try !IOFailure.isThere(folder) {
            throw KappaError(
                .notFound, "there is no log here", at: folder,
                because: "the folder does not exist",
                advice: "Append events first (`kappa append FILE`), or name the folder with --data")
        }
        if try IOFailure.isThere(path) {
            let file = try OpenFile(reading: path)
            if try LogHead.read(file) != nil { return file }
        }
        _ = try LogWriter(folder)
        return try OpenFile(reading: path)
    }

    /// Finds the durable end. The caller holds the log's lock. `published` is what the head file says.
    static func recover(
        _ folder: String, published: LogHead?, files: any FileSystem
    ) throws(KappaError) -> Result {
        let (beginning, segments) = try SegmentFiles.present(folder)
        try beginning.removeSegments(folder, files)
        var head: LogHead
        if let published {
            head = published
            try check(published, segments, folder)
        } else if let last = segments.last {
            head = try start(ofSegment: last, folder)
        } else {
            head = LogHead(nextOffset: .zero, segment: .zero, segmentBytes: 0, digest: .empty)
        }
        if let first = segments.first ?? (beginning.first > .zero ? head.segment : nil),
            first != beginning.first
        {
            throw missing(beginning.first, folder, "the log begins at offset \(first)")
        }
        try checkEarlier(&head, segments, beginning, folder)
        var warnings: [String] = []
        while segments.contains(head.segment) {
            let file = try openForRepair(SegmentFiles.path(folder, head.segment), files)
            let published = head.segmentBytes
            let torn = try extend(&head, file)
            let next = segments.first { $0 > head.segment }
            try refuseDamage(file, head, next)
            if torn > 0 || head.segmentBytes > published {
                try writeAgain(file, published..<head.segmentBytes, files)
            }
            if torn > 0 {
                warnings.append(try setAside(file, at: head.segmentBytes, torn, folder, files))
            }
            guard let next else { break }
            head.earlierSegments = head.earlierSegments.map { $0 + 1 }
            head.segment = next
            head.segmentBytes = 0
        }
        return Result(head: head, warnings: warnings)
    }

    /// What is past the durable end, without changing it; none of it counts.
    /// - Throws: `.damaged` if it proves that acknowledged events are gone.
    static func pastEnd(_ folder: String, _ head: LogHead) throws(KappaError) -> LogPastEnd {
        var past = LogPastEnd()
        var head = head
        let segments = try SegmentFiles.list(folder)
        while true {
            let path = SegmentFiles.path(folder, head.segment)
            guard try IOFailure.isThere(path) else { break }
            let file = try OpenFile(reading: path)
            let durable = head.segmentBytes
            let bytes = max(0, file.size - durable)
            _ = try extend(&head, file)
            let next = segments.first { $0 > head.segment }
            try refuseDamage(file, head, next)
            if bytes > 0 || head.segment > past.segment ?? head.segment { past.files.append(path) }
            past.segment = past.segment ?? head.segment
            past.bytes += bytes
            guard let next else { break }
            head.segment = next
            head.segmentBytes = 0
        }
        return past
    }

    /// Bytes after the last whole block are torn only if nothing was committed after them. Otherwise they are
    /// damage.
    private static func refuseDamage(
        _ file: OpenFile, _ head: LogHead, _ next: Offset?
    ) throws(KappaError) {
        var proof: String?
        if let next {
            // A segment is started only when the one before it is whole.
            if next != head.nextOffset { proof = "the next segment begins at offset \(next)" }
        } else if let later = try laterCommit(file, after: head.segmentBytes) {
            proof = "a later append begins at offset \(later)"
        }
        guard let proof else { return }
        throw KappaError(
            .damaged, "the log is damaged",
            at: "\(file.path), byte \(head.segmentBytes), offset \(head.nextOffset)",
            because: "the block here is not sound, and \(proof), so it was durable once",
            advice: "Nothing was changed. Restore the file from a copy")
    }

    /// The first offset of a sound block that begins a commit after a position. No event can look like one,
    /// because JSON text has no zero bytes.
    private static func laterCommit(
        _ file: OpenFile, after position: Int
    ) throws(KappaError) -> Offset? {
        let rest = try bytes(file, position, file.size - position)
        let magic = Array("KPB1".utf8)
        var at = 1
        while at + BlockHeader.mostBytes <= rest.count {
            guard let start = rest[at...].firstIndex(of: magic[0]) else { return nil }
            at = start + 1
            guard rest[start...].starts(with: magic),
                let block = try wholeBlock(file, at: position + start), block.beginsCommit
            else { continue }
            return block.firstOffset
        }
        return nil
    }

    private static func check(
        _ head: LogHead, _ segments: [Offset], _ folder: String
    ) throws(KappaError) {
        let path = SegmentFiles.path(folder, head.segment)
        guard segments.contains(head.segment) || head.segmentBytes == 0 else {
            throw missing(
                head.segment, folder,
                "the log's head says that it holds \(head.segmentBytes) bytes")
        }
        guard head.segmentBytes > 0 else { return }
        let size = try OpenFile(reading: path).size
        if size < head.segmentBytes {
            throw LogTail.cutShort(path, size, durableBytes: head.segmentBytes)
        }
    }

    /// Checks that all segments before the head's exist and that none is empty. It reads none of them, only
    /// the folder and their sizes, since appending does not need them. If the head does not say how many
    /// there are, their number is filled in.
    private static func checkEarlier(
        _ head: inout LogHead, _ segments: [Offset], _ beginning: LogBeginning, _ folder: String
    ) throws(KappaError) {
        let earlier = segments.filter { $0 < head.segment }
        // Those that were trimmed are counted, too.
        let count = beginning.segments + earlier.count
        if count != head.earlierSegments ?? count {
            throw try gap(earlier + [head.segment], folder)
        }
        head.earlierSegments = count
        for segment in earlier where SegmentFiles.isEmpty(folder, segment) {
            throw KappaError(
                .damaged, "a segment of the log is cut short",
                at: "\(SegmentFiles.path(folder, segment)), byte 0, offset \(segment)",
                because: "it holds no event, and later segments are there",
                advice: "Restore the file from a copy. Nothing was changed")
        }
    }

    /// Reads the segments to find out where their sequence breaks, because their number is wrong.
    private static func gap(
        _ segments: [Offset], _ folder: String
    ) throws(KappaError) -> KappaError {
        for (segment, next) in zip(segments, segments.dropFirst()) {
            var head = try start(ofSegment: segment, folder)
            let file = try OpenFile(reading: SegmentFiles.path(folder, segment))
            _ = try extend(&head, file)
            if head.nextOffset < next {
                return missing(
                    head.nextOffset, folder,
                    "the segment before it ends there, and the next one begins at offset \(next)")
            }
            if head.nextOffset > next {
                return KappaError(
                    .damaged, "a file of the log does not belong to it",
                    at: "\(SegmentFiles.path(folder, next)), offset \(next)",
                    because: "the segment before it ends at offset \(head.nextOffset)",
                    advice: "Move the file out of the folder. Nothing was changed")
            }
        }
        return KappaError(
            .damaged, "the log's head belongs to another log", at: LogHead.path(folder),
            because: "it states another number of segments than there are, and none is missing",
            advice: "Remove the file: it is rebuilt from the segments")
    }

    private static func missing(
        _ segment: Offset, _ folder: String, _ reason: String
    ) -> KappaError {
        KappaError(
            .damaged, "a segment of the log is missing",
            at: "\(SegmentFiles.path(folder, segment)), offset \(segment)",
            because: reason, advice: "Restore the file from a copy. Nothing was changed")
    }

    /// The state before the first block of a segment.
    private static func start(
        ofSegment first: Offset, _ folder: String
    ) throws(KappaError) -> LogHead {
        let file = try OpenFile(reading: SegmentFiles.path(folder, first))
        var head = LogHead(nextOffset: first, segment: first, segmentBytes: 0, digest: .empty)
        let beginning = try LogBeginning.read(folder)
        head.digest = first == beginning.first ? beginning.digest : .empty
        if first == beginning.first { return head }
        guard let block = try wholeBlock(file, at: 0), block.firstOffset == first else {
            // The digest of everything before it comes from reading the segment before it.
            let before = try SegmentFiles.list(folder).last { $0 < first }
            guard let before else {
                throw missing(beginning.first, folder, "the log begins at offset \(first)")
            }
            var earlier = try start(ofSegment: before, folder)
            let file = try OpenFile(reading: SegmentFiles.path(folder, before))
            _ = try extend(&earlier, file)
            try refuseDamage(file, earlier, first)
            head.digest = earlier.digest
            return head
        }
        head.digest = block.digestBefore
        return head
    }

    /// Moves the head over all whole blocks that follow it; returns how many bytes are left after them.
    private static func extend(
        _ head: inout LogHead, _ file: OpenFile
    ) throws(KappaError) -> Int {
        let size = file.size
        while head.segmentBytes < size {
            guard let block = try wholeBlock(file, at: head.segmentBytes),
                block.firstOffset == head.nextOffset, block.digestBefore == head.digest
            else { break }
            head.nextOffset = block.nextOffset
            head.digest = block.digestAfter
            head.segmentBytes += block.blockSize
        }
        return size - head.segmentBytes
    }

    /// The header of the block at a position, if the block is complete and sound.
    private static func wholeBlock(
        _ file: OpenFile, at position: Int
    ) throws(KappaError) -> BlockHeader? {
        let fixed = try bytes(file, position, BlockHeader.mostBytes)
        guard let header = fixed.withUnsafeBytes({ BlockHeader($0) }),
            position + header.blockSize <= file.size
        else { return nil }
        let whole = try bytes(file, position, header.blockSize)
        let isSound = whole.withUnsafeBytes { whole in
            let headBytes = header.size + header.runsSize
            let head = UnsafeRawBufferPointer(rebasing: whole[0..<headBytes])
            guard BlockHeader.isSound(head) else { return false }
            // Compressed blocks come from sealing, which renames a complete file into place. Raw ones may
            // have been appended, and may be torn.
            if header.codec == .zstd { return true }
            return crc32c(UnsafeRawBufferPointer(rebasing: whole[headBytes...])) == header.rawCRC
        }
        return isSound ? header : nil
    }

    private static func bytes(
        _ file: OpenFile, _ position: Int, _ count: Int
    ) throws(KappaError) -> [UInt8] {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
        defer { memory.deallocate() }
        let read = try file.read(memory, at: position)
        return Array(memory[0..<read])
    }

    private static func openForRepair(
        _ path: String, _ files: any FileSystem
    ) throws(KappaError) -> OpenFile {
        do {
            return OpenFile(try files.open(path, O_RDWR), path: path)
        } catch {
            throw error.error("cannot open a file of the log", at: path)
        }
    }

    /// Makes bytes durable that may be only in the page cache, even after a failed fsync.
    ///
    /// After a failed fsync, Linux keeps the pages in its cache but marks them clean: a second fsync
    /// succeeds, and the bytes are lost when the power fails. Writing them again makes them part of this
    /// fsync. The page in which they begin is written as a whole, and the cache is not dropped first, because
    /// it may hold the only good copy of acknowledged bytes in that page.
    private static func writeAgain(
        _ file: OpenFile, _ range: Range<Int>, _ files: any FileSystem
    ) throws(KappaError) {
        let pageBytes = 4_096
        var at = range.lowerBound / pageBytes * pageBytes
        while at < range.upperBound {
            let piece = try bytes(file, at, min(4 << 20, range.upperBound - at))
            if piece.isEmpty { break }
            do throws(IOFailure) { try files.write(file.descriptor, piece, at: at) } catch {
                throw error.error("cannot make the log's last events durable", at: file.path)
            }
            at += piece.count
        }
        do throws(IOFailure) { try files.sync(file.descriptor) } catch {
            throw error.error("cannot make the log's last events durable", at: file.path)
        }
    }

    /// Copies a torn tail to its own file and cuts it off.
    private static func setAside(
        _ file: OpenFile, at position: Int, _ count: Int, _ folder: String,
        _ files: any FileSystem
    ) throws(KappaError) -> String {
        // An earlier copy from the same position is kept.
        var copyPath = "\(file.path).torn-\(position)"
        var number = 1
        while access(copyPath, F_OK) == 0 {
            number += 1
            copyPath = "\(file.path).torn-\(position)-\(number)"
        }
        let tail = try bytes(file, position, count)
        do throws(IOFailure) {
            let copy = OpenFile(
                try files.open(copyPath, O_RDWR | O_CREAT | O_TRUNC), path: copyPath)
            try files.write(copy.descriptor, tail, at: 0)
            try files.sync(copy.descriptor)
            try files.syncFolder(folder)
            try files.truncate(file.descriptor, to: position)
            try files.sync(file.descriptor)
        } catch {
            throw error.error("cannot set a torn append aside", at: copyPath)
        }
        return "cut \(count) bytes of an append that was never acknowledged from \(file.path) "
            + "at byte \(position); they are kept in \(copyPath)"
    }
}
