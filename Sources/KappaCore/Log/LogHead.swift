import Glibc

/// How far the log is durable: what the file `head` says.
///
/// A writer publishes it after its fsync returned, so whoever reads the log stops there and sees
/// durable events only. It is never trusted further than that: where it is missing or torn it is made
/// anew from the segments.
struct LogHead: Equatable, Sendable {
    static let size = 48
    /// `KPH2`. The first format, `KPH1`, does not say how many segments there are.
    private static let magic: UInt32 = 0x3248_504B
    private static let firstMagic: UInt32 = 0x3148_504B

    /// The offset after the last durable event.
    var nextOffset: Offset
    /// The segment that is written to, by its first offset.
    var segment: Offset
    /// How many bytes of it are durable.
    var segmentBytes: Int
    var digest: LogDigest
    /// How many segments come before it. Nil where that is not known: it was written in the first format.
    var earlierSegments: Int?

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
        guard let earlierSegments else {
            bytes.replaceSubrange(
                0..<4, with: withUnsafeBytes(of: Self.firstMagic.littleEndian) { Array($0) })
            add(bytes.withUnsafeBytes { crc32c($0) })
            add(UInt32(0))
            return bytes
        }
        let count = UInt32(clamping: earlierSegments).littleEndian
        let checked = bytes + withUnsafeBytes(of: count) { Array($0) }
        add(checked.withUnsafeBytes { crc32c($0) })
        add(count.littleEndian)
        return bytes
    }

    init(
        nextOffset: Offset, segment: Offset, segmentBytes: Int, digest: LogDigest,
        earlierSegments: Int? = nil
    ) {
        self.nextOffset = nextOffset
        self.segment = segment
        self.segmentBytes = segmentBytes
        self.digest = digest
        self.earlierSegments = earlierSegments
    }

    private init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count == Self.size else { return nil }
        func read<I: FixedWidthInteger>(_ at: Int, _ type: I.Type) -> I {
            I(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: I.self))
        }
        let isFirst = read(0, UInt32.self) == Self.firstMagic
        guard isFirst || read(0, UInt32.self) == Self.magic,
            read(40, UInt32.self) == Self.checksum(bytes, isFirst: isFirst),
            !isFirst || read(44, UInt32.self) == 0,
            let segmentBytes = Int(exactly: read(24, UInt64.self)),
            let nextOffset = Offset(stored: read(8, UInt64.self)),
            let segment = Offset(stored: read(16, UInt64.self))
        else { return nil }
        self.nextOffset = nextOffset
        self.segment = segment
        self.segmentBytes = segmentBytes
        digest = LogDigest(bytes: read(32, UInt64.self), crc: read(4, UInt32.self))
        earlierSegments = isFirst ? nil : Int(read(44, UInt32.self))
    }

    /// Of all but the checksum itself; in the first format zeros follow it.
    private static func checksum(_ bytes: UnsafeRawBufferPointer, isFirst: Bool) -> UInt32 {
        let count = isFirst ? [] : Array(bytes[44..<48])
        return (Array(bytes[0..<40]) + count).withUnsafeBytes { crc32c($0) }
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
        guard let names = Folder.allNames(in: folder) else {
            let number = errno
            guard IOFailure.isAbsence(number) else {
                throw IOFailure("opendir", number).error("cannot read the log's folder", at: folder)
            }
            throw KappaError(
                .notFound, "there is no log here", at: folder,
                because: IOFailure.text(of: number),
                advice: "Append events first (`kappa append FILE`), or name the folder with --data")
        }
        let firsts = names.compactMap { name -> Offset? in
            guard name.utf8.count == 24, name.hasSuffix(".log") else { return nil }
            return UInt64(name.dropLast(4)).flatMap { Offset(stored: $0) }
        }
        return firsts.sorted()
    }

    /// The first offsets of the segments that hold durable events, ascending. A file of a later segment
    /// is what a writer that died had begun, or one that is about to say so: nothing in it counts yet.
    static func durable(_ folder: String, _ head: LogHead) throws(KappaError) -> [Offset] {
        try list(folder).filter { $0 <= head.segment }
    }

    /// Whether a segment's file is too short for a single block.
    static func isEmpty(_ folder: String, _ first: Offset) -> Bool {
        var status = stat()
        return stat(path(folder, first), &status) == 0 && status.st_size < BlockHeader.size
    }
}
