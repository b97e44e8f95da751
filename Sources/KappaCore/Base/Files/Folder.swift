import Glibc

/// What is done with folders by name, without regard to what is in them.
package enum Folder {
    /// Makes a folder with all above it, and makes their names durable.
    package static func make(_ path: String) throws(KappaError) {
        if try IOFailure.isThere(path) { return }
        let above = path.lastIndex(of: "/").map { String(path[..<$0]) }
        if let above, !above.isEmpty { try make(above) }
        if mkdir(path, 0o755) != 0, errno != EEXIST {
            throw IOFailure("mkdir", errno).error(creating: "a folder", at: path)
        }
        try sync(above.map { $0.isEmpty ? "/" : $0 } ?? ".")
    }

    /// Makes a new, empty folder that nobody else has, named with a prefix.
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

    /// What stands in a folder, but for hidden files; sorted.
    package static func names(in folder: String) -> [String] {
        (allNames(in: folder) ?? []).filter { !$0.hasPrefix(".") }.sorted()
    }

    /// What stands in a folder; nil where it cannot be listed, with the reason in `errno`.
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

    /// Removes a folder with all in it. A link is removed and never followed: what it points to is
    /// somebody else's. So is a folder that is reached through a link.
    package static func remove(_ path: String) {
        guard isFolder(path) else { return }
        for name in allNames(in: path) ?? [] {
            let inner = "\(path)/\(name)"
            if isFolder(inner) { remove(inner) } else { unlink(inner) }
        }
        rmdir(path)
    }

    /// Whether a folder stands at a path, and not a link to one.
    static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Makes what was created, renamed or removed in a folder durable.
    static func sync(_ path: String) throws(KappaError) {
        do { try SystemFiles().syncFolder(path) } catch {
            throw error.error("cannot make a change of a folder durable", at: path)
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
