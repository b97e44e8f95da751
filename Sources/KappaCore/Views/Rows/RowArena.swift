/// Memory for packed rows, in large chunks. What is given back is used again for rows of that size.
final class RowArena {
    private var chunks: [UnsafeMutableRawBufferPointer] = []
    private var used = chunkBytes
    /// Rows that were given back, by size: each holds the address of the next one.
    private var free: [UnsafeMutableRawPointer?] = []
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
        guard used + 16 * size <= Self.chunkBytes, let base = chunks.last?.baseAddress else {
            return fromNewChunk(size)
        }
        defer { used += 16 * size }
        return base + used
    }

    private func fromNewChunk(_ size: Int) -> UnsafeMutableRawPointer {
        let bytes = max(16 * size, Self.chunkBytes)
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 16)
        guard let base = chunk.baseAddress else { preconditionFailure("a chunk has memory") }
        if bytes > Self.chunkBytes, !chunks.isEmpty {
            // A row larger than a chunk has one of its own; the last chunk goes on being filled.
            chunks.insert(chunk, at: chunks.count - 1)
        } else {
            chunks.append(chunk)
            used = 16 * size
        }
        return base
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
        free.removeAll()
        used = Self.chunkBytes
        memoryBytes = 0
    }
}
