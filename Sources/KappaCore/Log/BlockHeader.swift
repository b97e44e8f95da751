/// The header of a block.
///
/// A segment is a sequence of blocks. Each has a header (little-endian), the runs, and the payload of
/// newline-ended JSON objects, raw or compressed with zstd. New blocks have format 2.
///
/// | byte | what |
/// |---|---|
/// | 0 | magic `KPB1` |
/// | 4 | format, 16 bits: 1 or 2 |
/// | 6 | codec, 8 bits: 0 raw, 1 zstd |
/// | 7 | 1 if a commit began with this block: everything before it was already durable |
/// | 8 | first offset, 64 bits |
/// | 16 | events |
/// | 20 | bytes of the runs |
/// | 24 | bytes of the payload as stored |
/// | 28 | bytes of the raw payload |
/// | 32 | CRC32C of the raw payload |
/// | 36 | CRC32C of all event bytes that were appended before this block |
/// | 40 | number of those bytes, 64 bits |
/// | 48 | CRC32C of bytes 0 … 47, of those after 51, and of the runs |
/// | 52 | format 1: four zeros; format 2: CRC32C of the payload as it was appended |
/// | 56 | format 2: bytes of the payload as it was appended |
/// | 60 | format 2: four zeros |
struct BlockHeader: Equatable {
    /// As many bytes as the header of either format has. A whole block has more, in either.
    static let mostBytes = 64
    static let magic: UInt32 = 0x3142_504B

    enum Format: UInt16 {
        case first = 1
        case second = 2

        var headerSize: Int { self == .first ? 56 : 64 }
    }

    enum Codec: UInt8 {
        case raw = 0
        case zstd = 1
    }

    var format = Format.second
    var codec = Codec.raw
    var beginsCommit = false
    var firstOffset: Offset
    var events: Int
    var runsSize: Int
    var storedSize: Int
    var rawSize: Int
    var rawCRC: UInt32
    var digestBefore: LogDigest
    /// The payload as it was appended, which the log's digest counts.
    var appendedSize: Int
    var appendedCRC: UInt32

    var size: Int { format.headerSize }
    /// Bytes from this header to the next.
    var blockSize: Int { size + runsSize + storedSize }
    var nextOffset: Offset { firstOffset + events }
    var digestAfter: LogDigest { digestBefore.appending(bytes: appendedSize, crc: appendedCRC) }

    /// A block of format 2 with an uncompressed payload, as it is appended.
    init(
        firstOffset: Offset, events: Int, runsSize: Int, payloadSize: Int, payloadCRC: UInt32,
        digestBefore: LogDigest
    ) {
        self.firstOffset = firstOffset
        self.events = events
        self.runsSize = runsSize
        storedSize = payloadSize
        rawSize = payloadSize
        rawCRC = payloadCRC
        appendedSize = payloadSize
        appendedCRC = payloadCRC
        self.digestBefore = digestBefore
    }

    /// The header's bytes, followed by the runs.
    func encoded(runs: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(size + runs.count)
        bytes.append(number: Self.magic)
        bytes.append(number: format.rawValue)
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
        var rest: [UInt8] = []
        if format == .second {
            rest.append(number: appendedCRC)
            rest.append(number: UInt32(appendedSize))
            rest.append(number: UInt32(0))
        }
        rest += runs
        let head = bytes.withUnsafeBytes { crc32c($0) }
        bytes.append(number: rest.withUnsafeBytes { crc32c($0, from: head) })
        if format == .first { bytes.append(number: UInt32(0)) }
        return bytes + rest
    }

    /// Reads a header; nil if the bytes are not one. The checksum is checked by ``isSound(_:)`` instead.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= Self.mostBytes, bytes.number(UInt32.self, at: 0) == Self.magic,
            let format = Format(rawValue: bytes.number(UInt16.self, at: 4)),
            let codec = Codec(rawValue: bytes.number(UInt8.self, at: 6)),
            bytes.number(UInt8.self, at: 7) <= 1,
            bytes.number(UInt32.self, at: format.headerSize - 4) == 0,
            let firstOffset = Offset(stored: bytes.number(UInt64.self, at: 8))
        else { return nil }
        self.format = format
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
        let isSecond = format == .second
        appendedCRC = isSecond ? bytes.number(UInt32.self, at: 52) : rawCRC
        appendedSize = isSecond ? Int(bytes.number(UInt32.self, at: 56)) : rawSize
    }

    /// Whether the checksum of a header and its runs matches. `bytes` holds both.
    static func isSound(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count >= mostBytes,
            let format = Format(rawValue: bytes.number(UInt16.self, at: 4))
        else { return false }
        let stored = bytes.number(UInt32.self, at: 48)
        let head = crc32c(UnsafeRawBufferPointer(rebasing: bytes[0..<48]))
        // The four zeros at the end of a header of the first format are not in its checksum.
        let rest = format == .first ? format.headerSize : 52
        return crc32c(UnsafeRawBufferPointer(rebasing: bytes[rest...]), from: head) == stored
    }
}
