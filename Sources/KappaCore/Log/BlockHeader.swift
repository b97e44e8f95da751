/// The header of a block, and its runs.
///
/// A segment is a row of blocks: a header of 56 bytes (little-endian), the runs, and the payload of
/// newline-ended JSON objects, raw or compressed with zstd.
///
/// | byte | what |
/// |---|---|
/// | 0 | magic `KPB1` |
/// | 4 | format version, 16 bits: 1 |
/// | 6 | codec, 8 bits: 0 raw, 1 zstd |
/// | 7 | 1 if a commit began with this block: all before it was durable by then |
/// | 8 | first offset, 64 bits |
/// | 16 | events |
/// | 20 | bytes of the runs |
/// | 24 | bytes of the payload as stored |
/// | 28 | bytes of the raw payload |
/// | 32 | CRC32C of the raw payload |
/// | 36 | CRC32C of all event bytes before this block |
/// | 40 | number of those bytes, 64 bits |
/// | 48 | CRC32C of bytes 0 … 47 and the runs |
struct BlockHeader: Equatable {
    static let size = 56
    static let magic: UInt32 = 0x3142_504B
    static let version: UInt16 = 1

    enum Codec: UInt8 {
        case raw = 0
        case zstd = 1
    }

    var codec = Codec.raw
    var beginsCommit = false
    var firstOffset: Offset
    var events: Int
    var runsSize: Int
    var storedSize: Int
    var rawSize: Int
    var rawCRC: UInt32
    var digestBefore: LogDigest

    /// Bytes from this header to the next.
    var blockSize: Int { Self.size + runsSize + storedSize }
    var nextOffset: Offset { firstOffset + events }
    var digestAfter: LogDigest { digestBefore.appending(bytes: rawSize, crc: rawCRC) }

    /// The header's bytes with the runs behind them.
    func encoded(runs: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.size + runs.count)
        func add(_ value: some FixedWidthInteger) {
            withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
        }
        add(Self.magic)
        add(Self.version)
        add(codec.rawValue)
        add(UInt8(beginsCommit ? 1 : 0))
        add(firstOffset.rawValue)
        add(UInt32(events))
        add(UInt32(runs.count))
        add(UInt32(storedSize))
        add(UInt32(rawSize))
        add(rawCRC)
        add(digestBefore.crc)
        add(digestBefore.bytes)
        let head = bytes.withUnsafeBytes { crc32c($0) }
        add(runs.withUnsafeBytes { crc32c($0, from: head) })
        add(UInt32(0))
        return bytes + runs
    }

    /// Reads a header; nil where the bytes are not one. The checksum is looked at by ``isSound``.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= Self.size else { return nil }
        func read<I: FixedWidthInteger>(_ at: Int, _ type: I.Type) -> I {
            I(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: I.self))
        }
        guard read(0, UInt32.self) == Self.magic, read(4, UInt16.self) == Self.version,
            let codec = Codec(rawValue: read(6, UInt8.self)), read(7, UInt8.self) <= 1,
            read(52, UInt32.self) == 0, let firstOffset = Offset(stored: read(8, UInt64.self))
        else { return nil }
        self.codec = codec
        beginsCommit = read(7, UInt8.self) == 1
        self.firstOffset = firstOffset
        events = Int(read(16, UInt32.self))
        runsSize = Int(read(20, UInt32.self))
        storedSize = Int(read(24, UInt32.self))
        rawSize = Int(read(28, UInt32.self))
        rawCRC = read(32, UInt32.self)
        digestBefore = LogDigest(bytes: read(40, UInt64.self), crc: read(36, UInt32.self))
    }

    init(
        firstOffset: Offset, events: Int, runsSize: Int, payload: UnsafeRawBufferPointer,
        digestBefore: LogDigest
    ) {
        self.firstOffset = firstOffset
        self.events = events
        self.runsSize = runsSize
        storedSize = payload.count
        rawSize = payload.count
        rawCRC = crc32c(payload)
        self.digestBefore = digestBefore
    }

    /// Whether the checksum of a header and its runs fits. `bytes` holds both.
    static func isSound(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count >= size else { return false }
        let stored = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 48, as: UInt32.self))
        let head = crc32c(UnsafeRawBufferPointer(rebasing: bytes[0..<48]))
        return crc32c(UnsafeRawBufferPointer(rebasing: bytes[size...]), from: head) == stored
    }
}

/// Consecutive events of a block that were appended together.
package struct IngestionRun: Equatable, Sendable {
    package var events: Int
    /// When they were appended, in microseconds since 1970-01-01T00:00:00Z.
    package var ingestedAtMicros: Int64
    /// The source that they come from, and how many of its events the log holds with these.
    package var source: String?
    package var sourcePosition: UInt64 = 0

    func encode(into bytes: inout [UInt8]) {
        func add(_ value: some FixedWidthInteger) {
            withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
        }
        add(UInt32(events))
        add(ingestedAtMicros)
        add(sourcePosition)
        add(UInt8((source ?? "").utf8.count))
        bytes.append(contentsOf: (source ?? "").utf8)
    }

    /// The runs of a block; nil where the bytes are not runs.
    static func decode(_ bytes: UnsafeRawBufferPointer) -> [IngestionRun]? {
        var runs: [IngestionRun] = []
        var at = 0
        while at < bytes.count {
            guard bytes.count - at >= 21 else { return nil }
            let length = Int(bytes[at + 20])
            guard bytes.count - at - 21 >= length else { return nil }
            let name = String(decoding: bytes[(at + 21)..<(at + 21 + length)], as: UTF8.self)
            runs.append(
                IngestionRun(
                    events: Int(
                        UInt32(
                            littleEndian: bytes.loadUnaligned(
                                fromByteOffset: at, as: UInt32.self))),
                    ingestedAtMicros: Int64(
                        littleEndian: bytes.loadUnaligned(fromByteOffset: at + 4, as: Int64.self)),
                    source: length == 0 ? nil : name,
                    sourcePosition: UInt64(
                        littleEndian: bytes.loadUnaligned(
                            fromByteOffset: at + 12, as: UInt64.self))))
            at += 21 + length
        }
        return runs
    }
}
