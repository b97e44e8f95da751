import CKappaJSON

/// Memory for packed rows, in large chunks. The memory of a released row is used again for rows of that size.
final class RowArena {
    private var chunks: [UnsafeMutableRawBufferPointer] = []
    /// The chunk that is being filled.
    private var base: UnsafeMutableRawPointer?
    private var used = chunkBytes
    /// Rows that were released, by size: each holds the address of the next one.
    private let free = PlainList<UnsafeMutableRawPointer?>()
    /// Bytes of the rows that are in use.
    private(set) var memoryBytes = 0
    private static let chunkBytes = 1 << 18

    deinit { for chunk in chunks { chunk.deallocate() } }

    /// Memory for a row of `byteCount` bytes.
    @inline(__always)
    func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer {
        let size = (byteCount + 15) / 16
        memoryBytes += 16 * size
        if size < free.count, let row = free[size] {
            free[size] = row.load(as: UnsafeMutableRawPointer?.self)
            return row
        }
        guard used + 16 * size <= Self.chunkBytes, let base else { return fromNewChunk(size) }
        let row = base + used
        used += 16 * size
        return row
    }

    private func fromNewChunk(_ size: Int) -> UnsafeMutableRawPointer {
        let bytes = max(16 * size, Self.chunkBytes)
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 16)
        guard let start = chunk.baseAddress else { preconditionFailure("a chunk has memory") }
        chunks.append(chunk)
        // A row larger than a chunk gets its own; the current chunk continues to be filled.
        if bytes > Self.chunkBytes { return start }
        base = start
        used = 16 * size
        return start
    }

    /// Releases a row.
    func release(_ row: PackedRow) {
        let size = (row.byteCount + 15) / 16
        memoryBytes -= 16 * size
        while free.count <= size { free.append(nil) }
        row.base.storeBytes(of: free[size], as: UnsafeMutableRawPointer?.self)
        free[size] = row.base
    }

    /// Releases all rows.
    func clear() {
        for chunk in chunks { chunk.deallocate() }
        chunks.removeAll()
        free.truncate(to: 0)
        base = nil
        used = Self.chunkBytes
        memoryBytes = 0
    }
}

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
