import CKappa

/// The digest of every event byte below an offset: how many bytes, and their CRC32C.
///
/// It does not depend on how the bytes are divided into blocks, so sealing a segment does not change it. A
/// version keeps the digest of what it applied, and a promotion compares that with the log's own digest at
/// the same offset. If they are equal, no event was skipped, applied twice or changed.
public struct LogDigest: Hashable, Sendable {
    /// The number of bytes of all events below the offset, each with its newline.
    public var bytes: UInt64
    /// CRC32C of those bytes.
    public var crc: UInt32

    /// The digest at offset zero, below which there are no events.
    public static let empty = LogDigest(bytes: 0, crc: 0)

    /// The digest of `bytes` bytes whose CRC32C is `crc`.
    public init(bytes: UInt64, crc: UInt32) {
        self.bytes = bytes
        self.crc = crc
    }

    /// The digest after more bytes, from their count and their own CRC32C.
    func appending(bytes count: Int, crc other: UInt32) -> LogDigest {
        LogDigest(
            bytes: bytes &+ UInt64(count),
            crc: kappa_crc32c_combine(crc, other, UInt64(count)))
    }

    /// What has to be appended to an earlier digest for this one: how many bytes, and their CRC32C.
    func suffix(after before: LogDigest) -> (bytes: Int, crc: UInt32) {
        let count = bytes &- before.bytes
        // Combining is linear: the CRC of zeros' worth of bytes leaves what the earlier bytes contribute.
        return (Int(truncatingIfNeeded: count), crc ^ kappa_crc32c_combine(before.crc, 0, count))
    }

    func appending(_ payload: UnsafeRawBufferPointer) -> LogDigest {
        appending(bytes: payload.count, crc: crc32c(payload))
    }
}

func crc32c(_ bytes: UnsafeRawBufferPointer, from crc: UInt32 = 0) -> UInt32 {
    kappa_crc32c(crc, bytes.baseAddress, bytes.count)
}
