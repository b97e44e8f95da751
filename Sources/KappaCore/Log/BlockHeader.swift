/// The header of a block, and its runs.
///
/// A segment is a sequence of blocks. Each has a header of 56 bytes (little-endian), the runs, and the
/// payload of newline-ended JSON objects, raw or compressed with zstd.
///
/// | byte | what |
/// |---|---|
/// | 0 | magic `KPB1` |
/// | 4 | format version, 16 bits: 1 |
/// | 6 | codec, 8 bits: 0 raw, 1 zstd |
/// | 7 | 1 if a commit began with this block: everything before it was already durable |
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

    /// The header's bytes, followed by the runs.
    func encoded(runs: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.size + runs.count)
        bytes.append(number: Self.magic)
        bytes.append(number: Self.version)
        bytes.append(number: codec.rawValue)
        bytes.append(number: UInt8(beginsCommit ? 1 : 0))
        bytes.append(number: firstOffset.rawValue)
        bytes.append(number: UInt32(events))
        bytes.append(number: UInt32(runs.count))
        bytes.append(number: UInt32(storedSize))
        bytes.append(number: UInt32(rawSize))
        bytes.append(number: rawCRC)
        bytes.append(number: digestBefore.crc)
        bytes.append(number: digestBefore.bytes)
        let head = bytes.withUnsafeBytes { crc32c($0) }
        bytes.append(number: runs.withUnsafeBytes { crc32c($0, from: head) })
        bytes.append(number: UInt32(0))
        return bytes + runs
    }

    /// Reads a header; nil if the bytes are not one. The checksum is checked by ``isSound(_:)`` instead.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= Self.size else { return nil }
        guard bytes.number(UInt32.self, at: 0) == Self.magic,
            bytes.number(UInt16.self, at: 4) == Self.version,
            let codec = Codec(rawValue: bytes.number(UInt8.self, at: 6)),
            bytes.number(UInt8.self, at: 7) <= 1,
            bytes.number(UInt32.self, at: 52) == 0,
            let firstOffset = Offset(stored: bytes.number(UInt64.self, at: 8))
        else { return nil }
        self.codec = codec
        beginsCommit = bytes.number(UInt8.self, at: 7) == 1
        self.firstOffset = firstOffset
        events = Int(bytes.number(UInt32.self, at: 16))
        runsSize = Int(bytes.number(UInt32.self, at: 20))
        storedSize = Int(bytes.number(UInt32.self, at: 24))
        rawSize = Int(bytes.number(UInt32.self, at: 28))
        rawCRC = bytes.number(UInt32.self, at: 32)
        digestBefore = LogDigest(
            bytes: bytes.number(UInt64.self, at: 40), crc: bytes.number(UInt32.self, at: 36))
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

    /// Whether the checksum of a header and its runs matches. `bytes` holds both.
    static func isSound(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count >= size else { return false }
        let stored = bytes.number(UInt32.self, at: 48)
        let head = crc32c(UnsafeRawBufferPointer(rebasing: bytes[0..<48]))
        return crc32c(UnsafeRawBufferPointer(rebasing: bytes[size...]), from: head) == stored
    }
}

/// Consecutive events of a block that were appended together.
package struct IngestionRun: Equatable, Sendable {
    package var events: Int
    /// When they were appended, in microseconds since 1970-01-01T00:00:00Z.
    package var ingestedAtMicros: Int64
    /// The source of the events, and how many of its events the log holds, including these.
    package var source: String?
    package var sourcePosition: UInt64 = 0

    func encode(into bytes: inout [UInt8]) {
        bytes.append(number: UInt32(events))
        bytes.append(number: ingestedAtMicros)
        bytes.append(number: sourcePosition)
        bytes.append(number: UInt8((source ?? "").utf8.count))
        bytes.append(contentsOf: (source ?? "").utf8)
    }

    /// The runs of a block; nil if the bytes are not runs.
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
                    events: Int(bytes.number(UInt32.self, at: at)),
                    ingestedAtMicros: bytes.number(Int64.self, at: at + 4),
                    source: length == 0 ? nil : name,
                    sourcePosition: bytes.number(UInt64.self, at: at + 12)))
            at += 21 + length
        }
        return runs
    }
}
