/// The digest of every event byte below an offset: how many bytes, and their CRC32C.
///
/// It does not depend on how the bytes are cut into blocks, so sealing a segment leaves it as it
/// was. A version keeps the digest of what it applied; a promotion compares that with the log's own
/// digest at the same offset: equal means that no event was skipped, doubled or changed.
public struct LogDigest: Hashable, Sendable {
    /// The number of bytes of all events below the offset, each with its newline.
    public var bytes: UInt64
    /// CRC32C of those bytes.
    public var crc: UInt32

    public static let empty = LogDigest(bytes: 0, crc: 0)

    public init(bytes: UInt64, crc: UInt32) {
        self.bytes = bytes
        self.crc = crc
    }
}
