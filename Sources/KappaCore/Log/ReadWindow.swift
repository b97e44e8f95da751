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
            // Bytes behind the limit may still be written to: they are not kept.
            let most = min(memory.count, limit - position)
            count = 0
            count = try file.read(
                UnsafeMutableRawBufferPointer(rebasing: memory[0..<most]), at: position)
        }
        let first = position - start
        let end = min(first + wanted, count)
        return UnsafeRawBufferPointer(rebasing: memory[first..<max(first, end)])
    }

    /// Copies bytes from the window, and reads what it does not hold.
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
