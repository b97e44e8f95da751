import Glibc

/// How far the log is durable: the contents of the file `head`.
///
/// A writer publishes it after its fsync has returned. Readers stop there, and so see only durable events. It
/// is not trusted beyond that: if it is missing or torn, it is rebuilt from the segments.
struct LogHead: Equatable, Sendable {
    static let size = 48
    /// `KPH3`: there may be blocks of format 2. In the formats before it, all blocks have format 1; the first
    /// one, `KPH1`, does not say how many segments there are.
    private static let magic: UInt32 = 0x3348_504B
    private static let secondMagic: UInt32 = 0x3248_504B
    private static let firstMagic: UInt32 = 0x3148_504B

    /// The offset after the last durable event.
    var nextOffset: Offset
    /// The first offset of the segment that is written to.
    var segment: Offset
    /// How many bytes of that segment are durable.
    var segmentBytes: Int
    var digest: LogDigest
    /// How many segments come before it. Nil if that is not known: the head was written in the first format.
    var earlierSegments: Int?

    static func path(_ folder: String) -> String { folder + "/head" }

    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(number: earlierSegments == nil ? Self.firstMagic : Self.magic)
        bytes.append(number: digest.crc)
        bytes.append(number: nextOffset.rawValue)
        bytes.append(number: segment.rawValue)
        bytes.append(number: UInt64(segmentBytes))
        bytes.append(number: digest.bytes)
        // The checksum covers the count, which follows it. The first format has a zero in its place.
        var checked = bytes
        let count = earlierSegments.map { UInt32(clamping: $0) }
        if let count { checked.append(number: count) }
        bytes.append(number: checked.withUnsafeBytes { crc32c($0) })
        bytes.append(number: count ?? 0)
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
        let magic = bytes.number(UInt32.self, at: 0)
        let isFirst = magic == Self.firstMagic
        guard isFirst || magic == Self.secondMagic || magic == Self.magic,
            bytes.number(UInt32.self, at: 40) == Self.checksum(bytes, isFirst: isFirst),
            !isFirst || bytes.number(UInt32.self, at: 44) == 0,
            let segmentBytes = Int(exactly: bytes.number(UInt64.self, at: 24)),
            let nextOffset = Offset(stored: bytes.number(UInt64.self, at: 8)),
            let segment = Offset(stored: bytes.number(UInt64.self, at: 16))
        else { return nil }
        self.nextOffset = nextOffset
        self.segment = segment
        self.segmentBytes = segmentBytes
        digest = LogDigest(
            bytes: bytes.number(UInt64.self, at: 32), crc: bytes.number(UInt32.self, at: 4))
        earlierSegments = isFirst ? nil : Int(bytes.number(UInt32.self, at: 44))
    }

    /// The checksum of everything but itself. In the first format it does not cover the zeros that follow it.
    private static func checksum(_ bytes: UnsafeRawBufferPointer, isFirst: Bool) -> UInt32 {
        let count = isFirst ? [] : Array(bytes[44..<48])
        return (Array(bytes[0..<40]) + count).withUnsafeBytes { crc32c($0) }
    }

    /// Whether these are the bytes of a format of a later kappa. Whatever else a format changes in the log's
    /// files, its head begins with `KPH` and a digit, and has this checksum in this place; so a damaged head
    /// is not taken for a later one.
    private static func isLater(_ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes.prefix(3).elementsEqual("KPH".utf8)
            && (UInt8(ascii: "4")...UInt8(ascii: "9")).contains(bytes[3])
            && bytes.number(UInt32.self, at: 40) == checksum(bytes, isFirst: false)
    }

    private static func laterFormat(_ digit: UInt8, _ path: String) -> KappaError {
        KappaError(
            .usage, "the log cannot be read", at: path,
            because:
                "it has format \(Character(UnicodeScalar(digit))), and this kappa reads formats 1 to 3",
            advice: "A newer kappa has written it: use that one. Nothing was changed")
    }

    /// Reads the head through an open file. A reader may see a half-finished write, and retries. A caller
    /// that holds the log's lock need not.
    /// - Throws: `.usage` if a later kappa has written it; `.inputOutput`.
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
            if bytes.withUnsafeBytes(isLater) { throw laterFormat(bytes[3], file.path) }
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

    /// The first offsets of all segments, ascending. Those that were trimmed do not count.
    static func list(_ folder: String) throws(KappaError) -> [Offset] {
        // The beginning is read first: what is listed after it is not older.
        let first = try LogBeginning.read(folder).first
        return try all(folder).filter { $0 >= first }
    }

    /// The same, and where the log began when they were listed.
    static func present(
        _ folder: String
    ) throws(KappaError) -> (beginning: LogBeginning, firsts: [Offset]) {
        while true {
            let beginning = try LogBeginning.read(folder)
            let firsts = try list(folder)
            // It may have been trimmed in between.
            if try LogBeginning.read(folder) == beginning { return (beginning, firsts) }
        }
    }

    /// The same, with the files of trimmed segments that are still there.
    static func all(_ folder: String) throws(KappaError) -> [Offset] {
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
            guard name.utf8.count == 24, name.hasSuffix(".log"),
                // Digits only: `+1` is a number, too.
                let first = Offset(parsing: String(name.dropLast(4)))
            else { return nil }
            return first
        }
        return firsts.sorted()
    }

    /// The first offsets of the segments that hold durable events, ascending. A later segment's file was
    /// started by a writer that died, or by one that has not published it yet: nothing in it counts.
    static func durable(_ folder: String, _ head: LogHead) throws(KappaError) -> [Offset] {
        try list(folder).filter { $0 <= head.segment }
    }

    /// Whether a segment's file is too short for a single block.
    static func isEmpty(_ folder: String, _ first: Offset) -> Bool {
        var status = stat()
        return stat(path(folder, first), &status) == 0 && status.st_size < BlockHeader.mostBytes
    }
}
