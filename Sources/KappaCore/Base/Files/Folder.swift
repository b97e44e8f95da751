import CKappa
import Glibc

/// Operations on folders, whatever they contain.
package enum Folder {
    /// Creates a folder with its parents, and makes their names durable.
    package static func make(_ path: String) throws(KappaError) {
        if try IOFailure.isThere(path) { return }
        let above = path.lastIndex(of: "/").map { String(path[..<$0]) }
        if let above, !above.isEmpty { try make(above) }
        if mkdir(path, 0o755) != 0, errno != EEXIST {
            throw IOFailure("mkdir", errno).error(creating: "a folder", at: path)
        }
        try sync(above.map { $0.isEmpty ? "/" : $0 } ?? ".")
    }

    /// Creates a new, empty folder with a unique name that starts with a prefix.
    /// - Throws: `.cannotCreate`.
    package static func makeTemporary(
        in parent: String, prefix: String
    ) throws(KappaError) -> String {
        var template = Array("\(parent)/\(prefix)-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw IOFailure("mkdtemp", errno).error(creating: "a temporary folder", at: parent)
        }
        return template.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { String(cString: $0) } ?? ""
        }
    }

    /// The names in a folder without the hidden ones; sorted.
    package static func names(in folder: String) -> [String] {
        (allNames(in: folder) ?? []).filter { !$0.hasPrefix(".") }.sorted()
    }

    /// The names in a folder; nil where it cannot be listed, with the reason in `errno`.
    static func allNames(in folder: String) -> [String]? {
        guard let directory = opendir(folder) else { return nil }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// Removes a folder with everything in it. Links inside are removed and never followed: what they
    /// point to belongs to somebody else. For the same reason nothing happens where the path itself is a
    /// link.
    package static func remove(_ path: String) {
        guard isFolder(path) else { return }
        for name in allNames(in: path) ?? [] {
            let inner = "\(path)/\(name)"
            if isFolder(inner) { remove(inner) } else { unlink(inner) }
        }
        rmdir(path)
    }

    /// Whether there is a folder at a path, and not a link to one.
    static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Makes creations, renames and removals in a folder durable.
    static func sync(_ path: String) throws(KappaError) {
        do { try SystemFiles().syncFolder(path) } catch {
            throw error.error("cannot make a change to a folder durable", at: path)
        }
    }

    /// What a symbolic link points to; nil where there is none.
    static func target(ofLink path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink(path, &buffer, buffer.count)
        guard count > 0 else { return nil }
        return String(decoding: buffer[0..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// Copies files as cheaply as the file system allows.
enum FileCopy {
    /// Makes `target` a copy of a file. Nobody may change the file meanwhile, and SQLite must not have
    /// it open in this process: closing it here would drop SQLite's locks. The copy shares the file's
    /// blocks where the file system can do that (Btrfs, XFS); otherwise the kernel copies them.
    /// - Throws: `.notFound` where the file is not there.
    static func copy(_ source: String, to target: String) throws(KappaError) {
        let (from, to) = try open(source, target)
        if kappa_clone_file(from.descriptor, to.descriptor) == 0 { return }
        do throws(IOFailure) { try copyBytes(from, to) } catch {
            throw error.error("cannot copy \(source)", at: target)
        }
    }

    /// Makes `target` a snapshot of a file that shares its blocks; false where the file system cannot do
    /// that. SQLite may have the file open.
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
