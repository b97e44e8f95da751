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
    /// How far each source is, up to `sourcesEnd`; filled on first use.
    private var sources: [String: SourcePoint] = [:]
    /// The sources that are time partitions.
    private var partitions: Set<String> = []
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
        _ lines: EventLines, _ files: any FileSystem
    ) throws(KappaError) {
        let now = SystemClock.wallMicroseconds()
        let knowsSources = sourcesEnd?.nextOffset == head.nextOffset
        for piece in lines.pieces(of: Self.blockBytes) {
            let run = IngestionRun(events: piece.events, ingestedAtMicros: now)
            try addBlock(lines, piece.range, lines.crc(of: piece.range), run, files)
        }
        // Otherwise another process has appended since, perhaps of a source.
        if knowsSources { sourcesEnd = head }
    }

    /// Appends those events of a source's batch that the log does not have.
    /// - Returns: How many of them it has.
    /// - Throws: `.badInput` if events before the batch are missing, or if the log has others in its place.
    mutating func append(
        _ batch: SourceBatch, _ lines: EventLines, _ files: any FileSystem
    ) throws(KappaError) -> Int {
        let known = try sourcePoint(of: batch.name)
        let skipped = try batch.known(of: lines, known)
        var rest = lines
        rest.removeFirst(skipped)
        let now = SystemClock.wallMicroseconds()
        var done = skipped
        // Where the log has no digest, the caller may have made it from the log's own events.
        var digest =
            known.digest ?? batch.digest.map { lines.digest(ofFirst: skipped, after: $0) }
        for piece in rest.pieces(of: Self.blockBytes) {
            done += piece.events
            let crc = rest.crc(of: piece.range)
            digest = digest?.appending(bytes: piece.range.count, crc: crc)
            let point = batch.point(after: done, of: lines.count, digest: digest)
            let run = IngestionRun(
                events: piece.events, ingestedAtMicros: now,
                source: SourceMark(name: batch.name, point: point),
                partition: partitions.contains(batch.name) ? batch.name : nil)
            try addBlock(rest, piece.range, crc, run, files)
            sources[batch.name] = point
        }
        if rest.count == 0 { sources[batch.name] = batch.point(passing: lines, known) }
        sourcesEnd = head
        return skipped
    }

    /// Appends a tick; a declaration only if the source is not declared.
    /// - Throws: `.notFound` if the log has no such source.
    mutating func append(
        _ tick: LogTick, _ files: any FileSystem
    ) throws(KappaError) {
        try findSources()
        var run = IngestionRun(events: 1, ingestedAtMicros: SystemClock.wallMicroseconds())
        switch tick {
        case .declaration(let source):
            guard partitions.insert(source).inserted else { return }
            run.partition = source
            run.tick = .init(timeMicros: .min, movesAll: false)
        case .time(let time, let source):
            if let source {
                guard sources[source] != nil || partitions.contains(source) else {
                    throw missing(source: source)
                }
                run.partition = partitions.contains(source) ? source : nil
            }
            run.tick = .init(timeMicros: time, movesAll: source == nil)
        }
        let line = IngestionRun.tombstone.withUnsafeBytes { EventLines(unchecked: $0) }
        try addBlock(line, line.bytes.indices, line.crc(of: line.bytes.indices), run, files)
        sourcesEnd = head
    }

    private func missing(source: String) -> KappaError {
        let names = Set(sources.keys).union(partitions)
        return KappaError(
            .notFound, "the log has no source \(source)", at: folder,
            because: names.isEmpty
                ? "none of its events has a source"
                : "its sources are " + names.sorted().prefix(20).joined(separator: ", "),
            advice: "Append or pull its events first")
    }

    private mutating func addBlock(
        _ lines: EventLines, _ range: Range<Int>, _ crc: UInt32, _ run: IngestionRun,
        _ files: any FileSystem
    ) throws(KappaError) {
        guard range.count < Int(UInt32.max) else {
            throw KappaError(
                .badInput, "an event is too large", because: "it has \(range.count) bytes",
                advice: "An event must be smaller than 4 GiB")
        }
        var runs: [UInt8] = []
        run.encode(into: &runs)
        var header = BlockHeader(
            firstOffset: head.nextOffset, events: run.events, runsSize: runs.count,
            payloadSize: range.count, payloadCRC: crc, digestBefore: head.digest)
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
        let (file, size) = try soundFile(files, durableBytes: pendingAt)
        do throws(IOFailure) {
            // A writer that died may have left bytes past the durable end: they are all removed.
            if size > pendingAt { try files.truncate(file.descriptor, to: pendingAt) }
            try files.write(file.descriptor, pending, at: pendingAt)
        } catch {
            throw error.error("cannot append to the log", at: file.path)
        }
        pending.removeAll(keepingCapacity: pending.capacity <= 2 * Self.pendingBytes)
    }

    /// The segment that is written to, and its size, if it has its name and all that is durable.
    private mutating func soundFile(
        _ files: any FileSystem, durableBytes: Int
    ) throws(KappaError) -> (file: OpenFile, size: Int) {
        let path = SegmentFiles.path(folder, head.segment)
        let file: OpenFile
        do throws(IOFailure) { file = try openFile(files, durableBytes: durableBytes) } catch {
            throw error.error("cannot append to the log", at: path)
        }
        if let loss = file.nameLoss {
            throw KappaError(
                .damaged, "a segment of the log is gone", at: path, because: loss,
                advice: "Nothing was appended. Put the file back")
        }
        let size = file.size
        if size < durableBytes { throw Self.cutShort(path, size, durableBytes: durableBytes) }
        return (file, size)
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
        let (old, size) = try soundFile(files, durableBytes: head.segmentBytes)
        do throws(IOFailure) {
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

    /// How far a source is in the log.
    mutating func sourcePoint(of name: String) throws(KappaError) -> SourcePoint {
        try findSources()
        return sources[name] ?? .start
    }

    /// Finds the log's sources up to its end.
    mutating func findSources() throws(KappaError) {
        if sourcesEnd?.nextOffset == head.nextOffset { return }
        precondition(pending.isEmpty, "sources are looked up before blocks are added")
        var (points, partitions) = (sources, partitions)
        try BlockWalk.headers(folder, behind: sourcesEnd) { beginning in
            for (name, source) in beginning.sources { points[name] = source.point }
            partitions.formUnion(beginning.partitions)
        } visit: { block in
            for run in block.runs {
                if let source = run.source { points[source.name] = source.point }
                if let partition = run.partition { partitions.insert(partition) }
            }
        }
        (sources, self.partitions) = (points, partitions)
        sourcesEnd = head
    }
}
