import Glibc

/// A file, and those that it was before it was rotated, as logrotate names them: `app.log`, `app.log.1`,
/// `app.log.2`; or `app.log-20260131`. Compressed ones are left out.
enum RotatedFiles {
    /// Opens them, the oldest first. The file itself, which comes last, may be missing for a moment.
    /// - Throws: `.notPermitted`, `.inputOutput`
    static func open(_ path: String) throws(KappaError) -> [OpenFile] {
        // While they are renamed, a name may be found twice or not at all.
        for _ in 0..<100 {
            let names = names(path)
            var files: [OpenFile] = []
            for name in names {
                if let file = try openExisting(name) { files.append(file) }
            }
            let isSame = files.count == names.count && files.allSatisfy { $0.nameLoss == nil }
            if isSame, names == Self.names(path) { return files }
            Pause.briefly()
        }
        throw KappaError(
            .inputOutput, "cannot read a file that is rotated", at: path,
            because: "its files are renamed over and over", advice: "Try again")
    }

    /// Nil if it does not exist, or is no file.
    private static func openExisting(_ path: String) throws(KappaError) -> OpenFile? {
        do throws(IOFailure) {
            return OpenFile(try SystemFiles().open(path, O_RDONLY), path: path)
        } catch {
            if IOFailure.isAbsence(error.number) { return nil }
            throw error.error(naming: "cannot open a file", at: path)
        }
    }

    private static func names(_ path: String) -> [String] {
        let slash = path.lastIndex(of: "/")
        let folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let prefix = slash.map { String(path[...$0]) } ?? ""
        let own = String(path[(slash.map { path.index(after: $0) } ?? path.startIndex)...])
        var dated: [String] = []
        var numbered: [(Int, String)] = []
        for name in Folder.allNames(in: folder) ?? [] where name.hasPrefix(own) {
            let suffix = name.dropFirst(own.count)
            let isMark = { (letter: Character) in letter == "." || letter == "-" }
            guard suffix.first.map(isMark) == true,
                suffix.dropFirst().allSatisfy({ $0.isASCII && ($0.isNumber || isMark($0)) }),
                suffix.last?.isNumber == true, isFile(prefix + name)
            else { continue }
            if suffix.count <= 6, suffix.first == ".", let number = Int(suffix.dropFirst()) {
                numbered.append((number, prefix + name))
            } else {
                dated.append(prefix + name)
            }
        }
        // A higher number is older, and so is an earlier date.
        numbered.sort { $0.0 > $1.0 }
        return dated.sorted() + numbered.map(\.1) + (isFile(path) ? [path] : [])
    }

    private static func isFile(_ path: String) -> Bool {
        var status = stat()
        // One that cannot be looked at is reported when it is opened.
        return stat(path, &status) == 0
            ? status.st_mode & S_IFMT == S_IFREG : !IOFailure.isAbsence(errno)
    }
}
