import Glibc

/// Opens a log's folder: makes it where it is new, and after a crash finds the durable end again.
///
/// Below the published head nothing is ever cut. Behind it there is at most an append that nobody was
/// told of: what is whole of it is made durable and kept, a torn rest is set aside.
enum LogRecovery {
    struct Result {
        var head: LogHead
        var warnings: [String]
    }

    /// Opens the head for a reader, recovering if it is missing. A log that is not there is an error.
    static func openHead(_ folder: String) throws(KappaError) -> OpenFile {
        let path = LogHead.path(folder)
        if access(folder, F_OK) != 0 {
            throw KappaError(
                .notFound, "there is no log here", at: folder,
                because: "the folder does not exist",
                advice: "Append events first (`kappa append FILE`), or name the folder with --data")
        }
        if access(path, F_OK) == 0 {
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
        let segments = try SegmentFiles.list(folder)
        var head: LogHead
        if let published {
            head = published
            try check(published, segments, folder)
        } else if let last = segments.last {
            head = try start(ofSegment: last, folder)
        } else {
            head = LogHead(nextOffset: .zero, segment: .zero, segmentBytes: 0, digest: .empty)
        }
        var warnings: [String] = []
        while access(SegmentFiles.path(folder, head.segment), F_OK) == 0 {
            let file = try openForRepair(SegmentFiles.path(folder, head.segment), files)
            let found = try extend(&head, file)
            if found.kept { try sync(file, files) }
            if found.torn > 0 {
                warnings.append(try setAside(file, at: head.segmentBytes, found.torn, files))
            }
            // A segment is begun only when the one before it is whole.
            let next = head.nextOffset
            guard next != head.segment,
                access(SegmentFiles.path(folder, next), F_OK) == 0
            else { break }
            head.segment = next
            head.segmentBytes = 0
        }
        return Result(head: head, warnings: warnings)
    }

    private static func check(
        _ head: LogHead, _ segments: [Offset], _ folder: String
    ) throws(KappaError) {
        let path = SegmentFiles.path(folder, head.segment)
        guard segments.contains(head.segment) || head.segmentBytes == 0 else {
            throw KappaError(
                .damaged, "a segment of the log is missing", at: path,
                because: "the log's head says that it holds \(head.segmentBytes) bytes",
                advice: "Restore the file from a copy")
        }
        guard head.segmentBytes > 0 else { return }
        let size = try OpenFile(reading: path).size
        if size < head.segmentBytes {
            throw KappaError(
                .damaged, "a segment of the log is cut short", at: "\(path), byte \(size)",
                because: "acknowledged events reach to byte \(head.segmentBytes)",
                advice: "Restore the file from a copy. Nothing was changed")
        }
    }

    /// The state before the first block of a segment.
    private static func start(
        ofSegment first: Offset, _ folder: String
    ) throws(KappaError) -> LogHead {
        let file = try OpenFile(reading: SegmentFiles.path(folder, first))
        var head = LogHead(nextOffset: first, segment: first, segmentBytes: 0, digest: .empty)
        if first == .zero { return head }
        guard let block = try wholeBlock(file, at: 0), block.firstOffset == first else {
            // The digest of what comes before is found by reading the segment before it.
            let before = try SegmentFiles.list(folder).last { $0 < first }
            guard let before else { return head }
            var earlier = try start(ofSegment: before, folder)
            _ = try extend(
                &earlier, try OpenFile(reading: SegmentFiles.path(folder, before)))
            head.digest = earlier.digest
            return head
        }
        head.digest = block.digestBefore
        return head
    }

    /// Moves the head over all whole blocks that follow it.
    private static func extend(
        _ head: inout LogHead, _ file: OpenFile
    ) throws(KappaError) -> (kept: Bool, torn: Int) {
        let size = file.size
        var kept = false
        while head.segmentBytes < size {
            guard let block = try wholeBlock(file, at: head.segmentBytes),
                block.firstOffset == head.nextOffset, block.digestBefore == head.digest
            else { break }
            head.nextOffset = block.nextOffset
            head.digest = block.digestAfter
            head.segmentBytes += block.blockSize
            kept = true
        }
        return (kept, size - head.segmentBytes)
    }

    /// The header of the block at a position if all of the block is there and sound.
    private static func wholeBlock(
        _ file: OpenFile, at position: Int
    ) throws(KappaError) -> BlockHeader? {
        let fixed = try bytes(file, position, BlockHeader.size)
        guard let header = fixed.withUnsafeBytes({ BlockHeader($0) }),
            position + header.blockSize <= file.size
        else { return nil }
        let whole = try bytes(file, position, header.blockSize)
        let isSound = whole.withUnsafeBytes { whole in
            let headBytes = BlockHeader.size + header.runsSize
            let head = UnsafeRawBufferPointer(rebasing: whole[0..<headBytes])
            guard BlockHeader.isSound(head) else { return false }
            // A compressed block was renamed into place as a whole; raw ones are appended.
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

    private static func sync(_ file: OpenFile, _ files: any FileSystem) throws(KappaError) {
        do { try files.sync(file.descriptor) } catch {
            throw error.error("cannot make the log's last events durable", at: file.path)
        }
    }

    /// Copies a torn tail to a file of its own and cuts it off.
    private static func setAside(
        _ file: OpenFile, at position: Int, _ count: Int, _ files: any FileSystem
    ) throws(KappaError) -> String {
        let copyPath = "\(file.path).torn-\(position)"
        let tail = try bytes(file, position, count)
        do throws(IOFailure) {
            let copy = OpenFile(
                try files.open(copyPath, O_RDWR | O_CREAT | O_TRUNC), path: copyPath)
            try files.write(copy.descriptor, tail, at: 0)
            try files.sync(copy.descriptor)
            try files.truncate(file.descriptor, to: position)
            try files.sync(file.descriptor)
        } catch {
            throw error.error("cannot set a torn append aside", at: copyPath)
        }
        return "cut \(count) bytes of an append that was never acknowledged from \(file.path) "
            + "at byte \(position); they are kept in \(copyPath)"
    }
}
