import Glibc

/// Memory that may become large and is looked at here and there.
enum LargeMemory {
    /// Makes memory larger or smaller, or takes some. Large areas are moved by remapping their pages:
    /// growing copies nothing and needs no second place.
    static func resized(
        _ memory: UnsafeMutableRawPointer?, byteCount: Int
    ) -> UnsafeMutableRawPointer {
        guard let resized = realloc(memory, byteCount) else {
            preconditionFailure("the system has no memory left for \(byteCount) bytes of rows")
        }
        if byteCount >= hugeBytes { adviseHugePages(resized, byteCount) }
        return resized
    }

    private static let hugeBytes = 8 << 20

    /// With large pages the processor finds what is looked at sooner, and the system hands memory out
    /// in fewer steps.
    private static func adviseHugePages(_ start: UnsafeMutableRawPointer, _ byteCount: Int) {
        let page = 4_096
        let first = (UInt(bitPattern: start) + UInt(page) - 1) / UInt(page) * UInt(page)
        let skipped = Int(first - UInt(bitPattern: start))
        madvise(
            UnsafeMutableRawPointer(bitPattern: first), (byteCount - skipped) / page * page,
            MADV_HUGEPAGE)
    }
}
