import CKappa
import Glibc

/// Copies files as cheaply as the file system can.
enum FileCopy {
    /// Makes `target` a copy of a file that nobody changes meanwhile, and that SQLite does not have open
    /// in this process: closing it would drop SQLite's locks. It shares the file's blocks where
    /// the file system can (Btrfs, XFS), else the kernel copies them.
    /// - Throws: `.notFound` where the file is not there.
    static func copy(_ source: String, to target: String) throws(KappaError) {
        let (from, to) = try open(source, target)
        if kappa_clone_file(from.descriptor, to.descriptor) == 0 { return }
        do throws(IOFailure) { try copyBytes(from, to) } catch {
            throw error.error("cannot copy \(source)", at: target)
        }
    }

    /// Makes `target` share the blocks of a file as it is at one moment; false where the file system
    /// cannot do that. The file may be one that SQLite has open.
    static func clone(_ source: String, to target: String) throws(KappaError) -> Bool {
        switch kappa_clone_path(source, target) {
        case 0: return true
        case EOPNOTSUPP, ENOTTY, EXDEV, EINVAL, ENOSYS, EPERM: return false
        case let number:
            throw IOFailure("ioctl FICLONE", number).error("cannot copy \(source)", at: target)
        }
    }

    private static func open(
        _ source: String, _ target: String
    ) throws(KappaError) -> (from: OpenFile, to: OpenFile) {
        do throws(IOFailure) {
            let from = OpenFile(try SystemFiles().open(source, O_RDONLY), path: source)
            let flags = O_RDWR | O_CREAT | O_TRUNC
            return (from, OpenFile(try SystemFiles().open(target, flags), path: target))
        } catch {
            var failure = error.error("cannot copy \(source)", at: target)
            if error.number == ENOENT { failure.code = .notFound }
            throw failure
        }
    }

    private static func copyBytes(_ from: OpenFile, _ to: OpenFile) throws(IOFailure) {
        var left = from.size
        while left > 0 {
            let count = kappa_copy_range(from.descriptor, to.descriptor, Int64(left))
            if count < 0 {
                if errno == EINTR { continue }
                // Older kernels do not copy from one file system to another.
                if errno == EXDEV || errno == ENOSYS || errno == EINVAL || errno == EOPNOTSUPP {
                    return try copyThroughMemory(from, to)
                }
                throw IOFailure("copy_file_range", errno)
            }
            if count == 0 { return }
            left -= Int(count)
        }
    }

    private static func copyThroughMemory(_ from: OpenFile, _ to: OpenFile) throws(IOFailure) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4_096)
        defer { buffer.deallocate() }
        var position = 0
        while true {
            let count = pread(from.descriptor, buffer.baseAddress, buffer.count, position)
            if count < 0 {
                if errno == EINTR { continue }
                throw IOFailure("read", errno)
            }
            if count == 0 { return }
            try SystemFiles().write(
                to.descriptor, UnsafeRawBufferPointer(rebasing: buffer[0..<count]), at: position)
            position += count
        }
    }
}
