import CZstd

/// Unpacks compressed blocks one after another, with the same memory for all of them.
final class BlockDecompressor {
    private let context = ZSTD_createDCtx()
    private var memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)

    deinit {
        ZSTD_freeDCtx(context)
        memory.deallocate()
    }

    /// Room for a block's bytes as they are stored.
    func stored(_ size: Int) -> UnsafeMutableRawBufferPointer {
        if size > memory.count {
            memory.deallocate()
            memory = .allocate(byteCount: max(size, 2 * memory.count), alignment: 16)
        }
        return UnsafeMutableRawBufferPointer(rebasing: memory[0..<size])
    }

    /// Unpacks what was put into ``stored(_:)``; false if it does not fill the target.
    func unpack(_ size: Int, into target: UnsafeMutableRawBufferPointer) -> Bool {
        let count = ZSTD_decompressDCtx(
            context, target.baseAddress, target.count, memory.baseAddress, size)
        return ZSTD_isError(count) == 0 && count == target.count
    }
}
