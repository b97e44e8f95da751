import Glibc

/// Where a trimmed log begins, and what can no longer be read from the blocks before that: the contents of the
/// file `trimmed`.
///
/// It is written before the segments are removed, so it is the truth: segments before ``first`` do not count,
/// whether or not they are still there.
///
/// | bytes | what |
/// |---|---|
/// | 4 | `KPT1` |
/// | 4 | CRC32C of the rest |
/// | 8 | the offset of the first event |
/// | 8, 4 | the digest of all events before it |
/// | 4 | how many segments they were in |
/// | 4 | sources: how many, and of each |
/// | 1, … | the length of its name, and the name |
/// | 8, 8 | its position, and how many events of it came before |
/// | 8, 4 | the digest of these |
/// | 4 | time partitions: how many, and of each |
/// | 1, … | the length of its name, and the name |
struct LogBeginning: Equatable, Sendable {
    /// The offset of the log's first event.
    var first = Offset.zero
    /// The digest of all events before it.
    var digest = LogDigest.empty
    /// How many segments were trimmed.
    var segments = 0
    /// How far each source was.
    var sources: [String: Source] = [:]
    /// The time partitions that were declared.
    var partitions: Set<String> = []

    struct Source: Equatable, Sendable {
        var point: SourcePoint
        /// How many events of it were before the first offset.
        var events: UInt64
    }

    static func path(_ folder: String) -> String { folder + "/trimmed" }
    private static let magic: UInt32 = 0x3154_504B

    /// The beginning of a log; that of all logs that were never trimmed is offset zero.
    /// - Throws: `.damaged`; `.usage` if a later kappa has written it.
    static func read(_ folder: String) throws(KappaError) -> LogBeginning {
        let path = path(folder)
        if access(path, F_OK) != 0, IOFailure.isAbsence(errno) { return LogBeginning() }
        let file = try OpenFile(reading: path)
        let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(1, file.size), alignment: 8)
        defer { memory.deallocate() }
        let bytes = UnsafeRawBufferPointer(rebasing: memory[..<(try file.read(memory, at: 0))])
        if bytes.count > 8, bytes.number(UInt32.self, at: 4) == crc32c(.init(rebasing: bytes[8...]))
        {
            if bytes.number(UInt32.self, at: 0) == magic, let beginning = LogBeginning(bytes) {
                return beginning
            }
            if bytes.prefix(3).elementsEqual("KPT".utf8) {
                throw KappaError(
                    .usage, "the log cannot be read", at: path,
                    because: "where it begins has a later format, and this kappa reads format 1",
                    advice: "A newer kappa has trimmed it: use that one. Nothing was changed")
            }
        }
        throw KappaError(
            .damaged, "where the log begins cannot be read", at: path,
            because: "the file does not fit its checksum",
            advice: "Restore the file from a copy. Nothing was changed")
    }

    private init?(_ bytes: UnsafeRawBufferPointer) {
        var reader = StateReader(.init(rebasing: bytes[8...]))
        do {
            guard let first = Offset(stored: UInt64(bitPattern: try reader.readInteger())) else {
                return nil
            }
            self.first = first
            digest = try Self.digest(&reader)
            segments = Int(try reader.readWord())
            for _ in 0..<(try reader.readWord()) {
                let name = try reader.readText(ofBytes: Int(try reader.readByte()))
                let position = UInt64(bitPattern: try reader.readInteger())
                let events = UInt64(bitPattern: try reader.readInteger())
                let point = SourcePoint(position, digest: try Self.digest(&reader))
                sources[name] = Source(point: point, events: events)
            }
            for _ in 0..<(try reader.readWord()) {
                partitions.insert(try reader.readText(ofBytes: Int(try reader.readByte())))
            }
        } catch { return nil }
        if !reader.isAtEnd { return nil }
    }

    init() {}

    private static func digest(_ reader: inout StateReader) throws(KappaError) -> LogDigest {
        LogDigest(
            bytes: UInt64(bitPattern: try reader.readInteger()), crc: try reader.readWord())
    }

    private var encoded: [UInt8] {
        var rest: [UInt8] = []
        func append(_ name: String) {
            rest.append(number: UInt8(name.utf8.count))
            rest += name.utf8
        }
        func append(_ digest: LogDigest) {
            rest.append(number: digest.bytes)
            rest.append(number: digest.crc)
        }
        rest.append(number: first.rawValue)
        append(digest)
        rest.append(number: UInt32(segments))
        rest.append(number: UInt32(sources.count))
        for (name, source) in sources.sorted(by: { $0.key < $1.key }) {
            append(name)
            rest.append(number: source.point.position)
            rest.append(number: source.events)
            append(source.point.digest ?? .empty)
        }
        rest.append(number: UInt32(partitions.count))
        for name in partitions.sorted() { append(name) }
        var bytes: [UInt8] = []
        bytes.append(number: Self.magic)
        bytes.append(number: rest.withUnsafeBytes { crc32c($0) })
        return bytes + rest
    }

    /// Written under another name first, so that it is whole or as it was.
    func write(_ folder: String, _ files: any FileSystem) throws(KappaError) {
        let path = Self.path(folder)
        do throws(IOFailure) {
            let file = OpenFile(
                try files.open(path + ".new", O_RDWR | O_CREAT | O_TRUNC), path: path + ".new")
            try files.write(file.descriptor, encoded, at: 0)
            try files.sync(file.descriptor)
            try files.rename(path + ".new", to: path)
            try files.syncFolder(folder)
        } catch {
            throw error.error("cannot note where the log begins", at: path)
        }
    }

    /// The error of whoever asks for an event before the beginning.
    func lacks(_ offset: Offset, _ folder: String) -> KappaError {
        KappaError(
            .notFound, "the log no longer has offset \(offset)", at: folder,
            because: "it was trimmed, and begins at offset \(first)",
            advice: "Name an offset from \(first) on")
    }

    /// Removes the files of segments that were trimmed.
    func removeSegments(_ folder: String, _ files: any FileSystem) throws(KappaError) {
        let old = try SegmentFiles.all(folder).filter { $0 < first }
        if old.isEmpty { return }
        do throws(IOFailure) {
            for segment in old {
                do throws(IOFailure) {
                    try files.remove(SegmentFiles.path(folder, segment))
                } catch {
                    // Another process removes them, too.
                    if !IOFailure.isAbsence(error.number) { throw error }
                }
            }
            try files.syncFolder(folder)
        } catch {
            throw error.error("cannot remove a trimmed segment", at: folder)
        }
    }
}

/// Trims the log: removes whole segments from its front.
///
/// Readers that have a removed segment open read it to its end. The digests of the events that stay are as they
/// were, and what the log knows of its sources outlives their events.
package struct LogTrimmer {
    private let folder: String
    private let files: any FileSystem

    package init(_ folder: String, files: any FileSystem = SystemFiles()) {
        self.folder = folder
        self.files = files
    }

    /// Removes the segments that only have events before an offset; never the one that is written to. If it is
    /// interrupted, the next one, or whoever opens the log for appending, completes it.
    /// - Returns: The log's first offset now.
    /// - Throws: `.notFound` if the log ends before the offset; `.heldElsewhere` while segments are rewritten.
    package func trim(before wanted: Offset) throws(KappaError) -> Offset {
        let lock = try SealLock.take(folder, files)
        defer { lock.unlock() }
        let reader = try LogReader(folder)
        let end = try reader.durableEnd()
        guard wanted <= end else {
            throw KappaError(
                .notFound, "the log has no offset \(wanted)", at: folder,
                because: "it ends at offset \(end)", advice: "Nothing was trimmed")
        }
        let old = try LogBeginning.read(folder)
        let new = try beginning(before: wanted, after: old, reader)
        if new.first > old.first { try new.write(folder, files) }
        try new.removeSegments(folder, files)
        return new.first
    }

    /// The last segment to begin with: none of its events is to be removed, and no batch of a source is in the
    /// middle there, so that all sources have a position.
    private func beginning(
        before wanted: Offset, after old: LogBeginning, _ reader: LogReader
    ) throws(KappaError) -> LogBeginning {
        let firsts = try reader.segments()
        var best = old
        var now = old
        var isWhole: [String: Bool] = [:]
        var next = firsts.dropFirst()[...]
        for segment in firsts {
            if segment > wanted { break }
            if segment > old.first, isWhole.values.allSatisfy(\.self) {
                best = now
                best.first = segment
            }
            next = next.drop { $0 <= segment }
            guard let after = next.first, after <= wanted else { break }
            now.segments += 1
            try BlockWalk.headers(folder, ofSegment: segment) { block in
                for run in block.runs {
                    if let partition = run.partition { now.partitions.insert(partition) }
                    guard let source = run.source else { continue }
                    let before = now.sources[source.name]?.events ?? 0
                    now.sources[source.name] = LogBeginning.Source(
                        point: source.point, events: before + UInt64(run.events))
                    isWhole[source.name] = source.point.eventsPast == 0
                }
            }
        }
        if best.first == old.first { return old }
        best.digest = try reader.digest(at: best.first)
        // Runs that an earlier kappa appended have no digest, and afterwards nobody could make one.
        for (name, source) in best.sources where source.point.digest == nil {
            let last = try SourceCheckpoint.read(folder, name, upTo: source.point.position).last
            best.sources[name]?.point.digest = last?.digest ?? .empty
        }
        return best
    }
}
