import CZstd

/// Reusable memory that blocks are read into. Zeros follow the payload, for parsers that read ahead.
package final class BlockBuffer {
    /// Readable bytes after the payload.
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

    /// The bytes of a range, followed by zeros.
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

/// Decompresses blocks one after another, with the same memory for all of them.
final class BlockDecompressor {
    private let context = ZSTD_createDCtx()
    private var memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)

    deinit {
        ZSTD_freeDCtx(context)
        memory.deallocate()
    }

    /// Memory for a block's bytes as they are stored.
    func stored(_ size: Int) -> UnsafeMutableRawBufferPointer {
        if size > memory.count {
            memory.deallocate()
            memory = .allocate(byteCount: max(size, 2 * memory.count), alignment: 16)
        }
        return UnsafeMutableRawBufferPointer(rebasing: memory[0..<size])
    }

    /// Decompresses what was put into ``stored(_:)``; false if it does not exactly fill the target.
    func unpack(_ size: Int, into target: UnsafeMutableRawBufferPointer) -> Bool {
        let count = ZSTD_decompressDCtx(
            context, target.baseAddress, target.count, memory.baseAddress, size)
        return ZSTD_isError(count) == 0 && count == target.count
    }
}

/// Reads a file ahead in pieces.
final class ReadWindow {
    private static let size = 1 << 16
    private var memory = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 64)
    private var start = 0
    private var count = 0

    deinit { memory.deallocate() }

    func forget() { count = 0 }

    /// `count` bytes at `position`, or fewer if `limit` comes first.
    func bytes(
        of file: OpenFile, at position: Int, count wanted: Int, _ limit: Int
    ) throws(KappaError) -> UnsafeRawBufferPointer {
        let wanted = min(wanted, limit - position)
        if position < start || position + wanted > start + count {
            if wanted > memory.count {
                memory.deallocate()
                memory = .allocate(byteCount: wanted, alignment: 64)
            }
            start = position
            // Bytes past the limit may still change, so they are not kept.
            let most = min(memory.count, limit - position)
            count = 0
            count = try file.read(
                UnsafeMutableRawBufferPointer(rebasing: memory[0..<most]), at: position)
        }
        let first = position - start
        let end = min(first + wanted, count)
        return UnsafeRawBufferPointer(rebasing: memory[first..<max(first, end)])
    }

    /// Copies bytes from the window, and reads those that it does not hold.
    func copy(
        of file: OpenFile, at position: Int, to target: UnsafeMutableRawBufferPointer
    ) throws(KappaError) {
        var done = 0
        if position >= start, position < start + count {
            done = min(target.count, start + count - position)
            let first = position - start
            target.copyMemory(
                from: UnsafeRawBufferPointer(rebasing: memory[first..<(first + done)]))
        }
        guard done < target.count else { return }
        let rest = UnsafeMutableRawBufferPointer(rebasing: target[done...])
        let read = try file.read(rest, at: position + done)
        if read < rest.count {
            throw KappaError(
                .damaged, "the log is damaged", at: "\(file.path), byte \(position + done + read)",
                because: "the file ends inside a block",
                advice: "Restore the file from a copy")
        }
    }
}
