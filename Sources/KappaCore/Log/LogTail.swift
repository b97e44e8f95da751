import Glibc

/// The end of the log as one writer knows it: where the next block goes, and the blocks added since that are
/// not durable yet.
struct LogTail: Sendable {
    private let folder: String
    private(set) var head: LogHead
    private var file: OpenFile?
    /// Blocks waiting to be written together.
    private var pending: [UInt8] = []
    private var pendingAt = 0
    private var isAtCommit = true
    /// How many events of each source the log holds, up to `sourcesEnd`; filled on first use.
    private var sources: [String: UInt64] = [:]
    private var sourcesEnd: LogHead?

    private static let blockBytes = 1 << 20
    private static let pendingBytes = 4 << 20

    init(folder: String, head: LogHead) {
        self.folder = folder
        self.head = head
    }

    /// Blocks added from here on belong to a new commit; those before it are durable.
    mutating func beginCommit() { isAtCommit = true }

    /// Continues where another process left the log.
    mutating func follow(_ newHead: LogHead) {
        guard newHead != head else { return }
        if newHead.segment != head.segment { file = nil }
        head = newHead
    }

    mutating func append(
        _ lines: EventLines, source: LogWriter.SourceRange?, skipped: Int,
        _ files: any FileSystem
    ) throws(KappaError) {
        let now = SystemClock.wallMicroseconds()
        var position = source.map { $0.position + UInt64(skipped) } ?? 0
        for piece in lines.pieces(of: Self.blockBytes) {
            position += UInt64(source == nil ? 0 : piece.events)
            let run = IngestionRun(
                events: piece.events, ingestedAtMicros: now, source: source?.name,
                sourcePosition: position)
            try addBlock(lines, piece.range, run, files)
        }
        guard sourcesEnd != nil else { return }
        sourcesEnd = head
        if let source { sources[source.name] = max(sources[source.name] ?? 0, position) }
    }

    private mutating func addBlock(
        _ lines: EventLines, _ range: Range<Int>, _ run: IngestionRun, _ files: any FileSystem
    ) throws(KappaError) {
        guard range.count < Int(UInt32.max) else {
            throw KappaError(
                .badInput, "an event is too large", because: "it has \(range.count) bytes",
                advice: "An event must be smaller than 4 GiB")
        }
        var runs: [UInt8] = []
        run.encode(into: &runs)
        var header = lines.bytes.withUnsafeBytes { bytes in
            BlockHeader(
                firstOffset: head.nextOffset, events: run.events, runsSize: runs.count,
                payload: UnsafeRawBufferPointer(rebasing: bytes[range]), digestBefore: head.digest)
        }
        header.beginsCommit = isAtCommit
        isAtCommit = false
        if pending.isEmpty { pendingAt = head.segmentBytes }
        pending += header.encoded(runs: runs)
        pending += lines.bytes[range]
        head.nextOffset = header.nextOffset
        head.digest = header.digestAfter
        head.segmentBytes += header.blockSize
        if pending.count >= Self.pendingBytes { try flush(files) }
    }

    /// Writes the pending blocks; they are not durable yet.
    mutating func flush(_ files: any FileSystem) throws(KappaError) {
        guard !pending.isEmpty else { return }
        let path = SegmentFiles.path(folder, head.segment)
        var size = 0
        do throws(IOFailure) {
            let file = try openFile(files, durableBytes: pendingAt)
            size = file.sizeByName
        } catch {
            throw error.error("cannot append to the log", at: path)
        }
        if size < pendingAt { throw Self.cutShort(path, size, durableBytes: pendingAt) }
        do throws(IOFailure) {
            let file = try openFile(files, durableBytes: pendingAt)
            // A writer that died may have left bytes past the durable end: they are all removed.
            if size > pendingAt { try files.truncate(file.descriptor, to: pendingAt) }
            try files.write(file.descriptor, pending, at: pendingAt)
        } catch {
            throw error.error("cannot append to the log", at: path)
        }
        pending.removeAll(keepingCapacity: pending.capacity <= 2 * Self.pendingBytes)
    }

    /// Acknowledged bytes are gone, and writing past them would only hide that.
    static func cutShort(_ path: String, _ size: Int, durableBytes: Int) -> KappaError {
        KappaError(
            .damaged, "a segment of the log is cut short", at: "\(path), byte \(size)",
            because: "acknowledged events reach to byte \(durableBytes)",
            advice: "Restore the file from a copy. Nothing was changed")
    }

    private mutating func openFile(
        _ files: any FileSystem, durableBytes: Int
    ) throws(IOFailure) -> OpenFile {
        if let file { return file }
        let path = SegmentFiles.path(folder, head.segment)
        let opened = OpenFile(try files.open(path, O_RDWR | O_CREAT), path: path)
        // Without durable bytes the file is new, or was left by a writer that died before this sync.
        if durableBytes == 0 { try files.syncFolder(folder) }
        file = opened
        return opened
    }

    func sync(_ files: any FileSystem) throws(IOFailure) {
        if let file { try files.sync(file.descriptor) }
    }

    /// Cuts a failed batch off again. If that fails too, recovery handles it later.
    mutating func cutBack(_ files: any FileSystem) {
        pending = []
        let path = SegmentFiles.path(folder, head.segment)
        guard access(path, F_OK) == 0,
            let file = try? openFile(files, durableBytes: head.segmentBytes)
        else { return }
        if file.size > head.segmentBytes {
            try? files.truncate(file.descriptor, to: head.segmentBytes)
        }
    }

    /// Whether a writer that died had already started the next segment. If so, appending must continue there:
    /// readers look for an offset in the last segment that begins at or before it.
    var hasNextSegment: Bool {
        head.segment != head.nextOffset
            && access(SegmentFiles.path(folder, head.nextOffset), F_OK) == 0
    }

    /// Starts a new segment. From then on, the one before it ends where its file ends.
    mutating func roll(_ files: any FileSystem) throws(KappaError) {
        var size = 0
        let path = SegmentFiles.path(folder, head.segment)
        do throws(IOFailure) {
            size = try openFile(files, durableBytes: head.segmentBytes).sizeByName
        } catch {
            throw error.error("cannot end a segment of the log", at: path)
        }
        if size < head.segmentBytes {
            throw Self.cutShort(path, size, durableBytes: head.segmentBytes)
        }
        do throws(IOFailure) {
            let old = try openFile(files, durableBytes: head.segmentBytes)
            if size > head.segmentBytes {
                try files.truncate(old.descriptor, to: head.segmentBytes)
                try files.sync(old.descriptor)
            }
            file = nil
            if head.segment != head.nextOffset {
                head.earlierSegments = head.earlierSegments.map { $0 + 1 }
            }
            head.segment = head.nextOffset
            head.segmentBytes = 0
            _ = try openFile(files, durableBytes: 0)
        } catch {
            throw error.error(
                "cannot begin a new segment of the log",
                at: SegmentFiles.path(folder, head.nextOffset))
        }
    }

    /// How many events of a source the log holds.
    mutating func sourcePosition(of name: String) throws(KappaError) -> UInt64 {
        if sourcesEnd?.nextOffset != head.nextOffset {
            precondition(pending.isEmpty, "sources are looked up before blocks are added")
            try SourcePositions.collect(folder, behind: sourcesEnd, into: &sources)
            sourcesEnd = head
        }
        return sources[name] ?? 0
    }
}

/// How many events of each source a log holds, according to its blocks.
enum SourcePositions {
    static func collect(
        _ folder: String, behind known: LogHead?, into sources: inout [String: UInt64]
    ) throws(KappaError) {
        try BlockWalk.headers(folder, behind: known) { block in
            for run in block.runs {
                guard let source = run.source else { continue }
                sources[source] = max(sources[source] ?? 0, run.sourcePosition)
            }
        }
    }
}
