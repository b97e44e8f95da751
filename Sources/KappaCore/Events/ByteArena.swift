import CKappaJSON

/// Keeps copies of short byte strings in large chunks that never move; all are freed together.
struct ByteArena: ~Copyable {
    private var chunks: [UnsafeMutableRawBufferPointer] = []
    private var used = 0
    private(set) var byteCount = 0
    private static let chunkSize = 1 << 18

    init() {}
    deinit { for chunk in chunks { chunk.deallocate() } }

    /// A copy of some text, with its hash.
    mutating func add(_ text: UnsafeRawBufferPointer) -> kj_string {
        let hash = kj_hash(text.baseAddress?.assumingMemoryBound(to: CChar.self), text.count)
        return add(text, hash: hash)
    }

    mutating func add(_ text: UnsafeRawBufferPointer, hash: UInt32) -> kj_string {
        let room = reserve(text.count)
        if let source = text.baseAddress { room.copyMemory(from: source, byteCount: text.count) }
        return kj_string(
            data: room.assumingMemoryBound(to: CChar.self), length: UInt32(text.count), hash: hash)
    }

    private mutating func reserve(_ size: Int) -> UnsafeMutableRawPointer {
        if chunks.isEmpty || used + size > chunks[chunks.count - 1].count {
            let chunk = UnsafeMutableRawBufferPointer.allocate(
                byteCount: max(size, Self.chunkSize), alignment: 8)
            chunks.append(chunk)
            byteCount += chunk.count
            used = 0
        }
        guard let base = chunks[chunks.count - 1].baseAddress else {
            preconditionFailure("a chunk has memory")
        }
        defer { used += size }
        return base + used
    }

    mutating func clear() {
        for chunk in chunks { chunk.deallocate() }
        chunks = []
        used = 0
        byteCount = 0
    }
}
