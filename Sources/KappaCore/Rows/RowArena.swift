/// Memory for packed rows, in large chunks. What is given back is used again for rows of that size.
final class RowArena {
    private var chunks: [UnsafeMutableRawBufferPointer] = []
    /// The chunk that is being filled.
    private var base: UnsafeMutableRawPointer?
    private var used = chunkBytes
    /// Rows that were given back, by size: each holds the address of the next one.
    private let free = PlainList<UnsafeMutableRawPointer?>()
    /// Bytes of the rows that are in use.
    private(set) var memoryBytes = 0
    private static let chunkBytes = 1 << 18

    deinit { for chunk in chunks { chunk.deallocate() } }

    /// Room for a row of so many bytes.
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
        // A row larger than a chunk has one of its own; another chunk goes on being filled.
        if bytes > Self.chunkBytes { return start }
        base = start
        used = 16 * size
        return start
    }

    /// Gives a row back.
    func release(_ row: PackedRow) {
        let size = (row.byteCount + 15) / 16
        memoryBytes -= 16 * size
        while free.count <= size { free.append(nil) }
        row.base.storeBytes(of: free[size], as: UnsafeMutableRawPointer?.self)
        free[size] = row.base
    }

    /// Gives all rows back.
    func clear() {
        for chunk in chunks { chunk.deallocate() }
        chunks.removeAll()
        free.truncate(to: 0)
        base = nil
        used = Self.chunkBytes
        memoryBytes = 0
    }
}
