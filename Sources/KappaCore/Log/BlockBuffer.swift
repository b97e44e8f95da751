/// Memory that blocks are read into, used again and again. Behind the payload stand zeros for
/// parsers that read ahead.
package final class BlockBuffer {
    /// Readable bytes behind the payload.
    package static let padding = 128

    private(set) var memory: UnsafeMutableRawBufferPointer

    package init(capacity: Int = 1 << 20) {
        memory = .allocate(byteCount: capacity + Self.padding, alignment: 64)
    }

    deinit { memory.deallocate() }

    /// Makes room for `capacity` bytes, keeping the first `used`.
    func reserve(_ capacity: Int, keeping used: Int) {
        guard memory.count < capacity + Self.padding else { return }
        let larger = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(capacity, memory.count * 2) + Self.padding, alignment: 64)
        if used > 0 { larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: memory[0..<used])) }
        memory.deallocate()
        memory = larger
    }

    /// The bytes from `start` to `end`, with zeros behind them.
    func payload(_ range: Range<Int>) -> UnsafeRawBufferPointer {
        for index in range.upperBound..<(range.upperBound + Self.padding) { memory[index] = 0 }
        return UnsafeRawBufferPointer(rebasing: memory[range])
    }

    func slice(_ range: Range<Int>) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: memory[range])
    }
}

/// Consecutive events of the log, in a ``BlockBuffer``.
package struct LogBlock {
    package var firstOffset: Offset
    package var events: Int
    /// Newline-ended JSON objects; valid until the buffer is used again.
    package var payload: UnsafeRawBufferPointer
    package var runs: [IngestionRun]
    package var digestBefore: LogDigest
    package var digestAfter: LogDigest

    package var nextOffset: Offset { firstOffset + events }
}
