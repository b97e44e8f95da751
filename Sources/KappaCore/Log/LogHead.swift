import Glibc

/// How far the log is durable: what the file `head` says.
///
/// A writer publishes it after its fsync returned, so whoever reads the log stops there and sees
/// durable events only. It is never trusted further than that: where it is missing or torn it is made
/// anew from the segments.
struct LogHead: Equatable, Sendable {
    static let size = 48
    private static let magic: UInt32 = 0x3148_504B

    /// The offset after the last durable event.
    var nextOffset: Offset
    /// The segment that is written to, by its first offset.
    var segment: Offset
    /// How many bytes of it are durable.
    var segmentBytes: Int
    var digest: LogDigest

    static func path(_ folder: String) -> String { folder + "/head" }

    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        func add(_ value: some FixedWidthInteger) {
            withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
        }
        add(Self.magic)
        add(digest.crc)
        add(nextOffset.rawValue)
        add(segment.rawValue)
        add(UInt64(segmentBytes))
        add(digest.bytes)
        add(bytes.withUnsafeBytes { crc32c($0) })
        add(UInt32(0))
        return bytes
    }

    init(nextOffset: Offset, segment: Offset, segmentBytes: Int, digest: LogDigest) {
        self.nextOffset = nextOffset
        self.segment = segment
        self.segmentBytes = segmentBytes
        self.digest = digest
    }

    private init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count == Self.size else { return nil }
        func read<I: FixedWidthInteger>(_ at: Int, _ type: I.Type) -> I {
            I(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: I.self))
        }
        guard read(0, UInt32.self) == Self.magic,
            read(40, UInt32.self) == crc32c(UnsafeRawBufferPointer(rebasing: bytes[0..<40])),
            read(44, UInt32.self) == 0,
            let segmentBytes = Int(exactly: read(24, UInt64.self))
        else { return nil }
        nextOffset = Offset(read(8, UInt64.self))
        segment = Offset(read(16, UInt64.self))
        self.segmentBytes = segmentBytes
        digest = LogDigest(bytes: read(32, UInt64.self), crc: read(4, UInt32.self))
    }

    /// Reads the head through an open file. A reader may meet a write half done: it looks again.
    /// Whoever holds the log's lock need not.
    static func read(_ file: OpenFile, isLocked: Bool = false) throws(KappaError) -> LogHead? {
        for attempt in 0..<(isLocked ? 1 : 100) {
            var bytes = [UInt8](repeating: 0, count: size)
            var failure: KappaError?
            let count = bytes.withUnsafeMutableBytes { buffer in
                do throws(KappaError) { return try file.read(buffer, at: 0) } catch {
                    failure = error
                    return 0
                }
            }
            if let failure { throw failure }
            if count < size { return nil }
            if let head = bytes.withUnsafeBytes({ LogHead($0) }) { return head }
            if attempt > 10 { usleep(100) }
        }
        return nil
    }
}

/// The files of a log's folder.
enum SegmentFiles {
    static func path(_ folder: String, _ first: Offset) -> String {
        let digits = String(first.rawValue)
        return folder + "/" + String(repeating: "0", count: 20 - digits.count) + digits + ".log"
    }

    /// The first offsets of all segments, ascending.
    static func list(_ folder: String) throws(KappaError) -> [Offset] {
        guard let names = names(folder) else {
            let number = errno
            guard number == ENOENT || number == ENOTDIR else {
                throw IOFailure("opendir", number).error("cannot list the log's folder", at: folder)
            }
            throw KappaError(
                .notFound, "there is no log here", at: folder,
                because: String(cString: strerror(number)),
                advice: "Append events first (`kappa append FILE`), or name the folder with --data")
        }
        let firsts = names.compactMap { name -> Offset? in
            guard name.utf8.count == 24, name.hasSuffix(".log") else { return nil }
            return UInt64(name.dropLast(4)).map { Offset($0) }
        }
        return firsts.sorted()
    }

    /// The first offsets of the segments that hold durable events, ascending. A file of a later segment
    /// is what a writer that died had begun, or one that is about to say so: nothing in it counts yet.
    static func durable(_ folder: String, _ head: LogHead) throws(KappaError) -> [Offset] {
        try list(folder).filter { $0 <= head.segment }
    }

    /// What stands in the folder; nil where it cannot be listed, with the reason in `errno`.
    static func names(_ folder: String) -> [String]? {
        guard let directory = opendir(folder) else { return nil }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            names.append(name)
        }
        return names
    }
}
