import Glibc

/// A file, and those that it was before it was rotated, as logrotate names them: `app.log`, `app.log.1`,
/// `app.log.2`; or `app.log-20260131`. Compressed ones are left out.
enum RotatedFiles {
    /// Opens them, the oldest first. The file itself, which comes last, may be missing for a moment.
    /// - Throws: `.badInput` if one of them is a copy of the file, which still has what was copied;
    ///   `.notPermitted`, `.inputOutput`
    static func open(_ path: String) throws(KappaError) -> [OpenFile] {
        var failure = KappaError(
            .inputOutput, "cannot read a file that is rotated", at: path,
            because: "its files are renamed over and over", advice: "Try again")
        for _ in 0..<patience {
            if let files = try openOnce(path) {
                guard let copy = try copy(files, of: path) else { return files }
                failure = uncertain([copy, path])
            }
            Pause.forALook()
        }
        throw failure
    }

    /// How often the files are looked at while they are renamed or copied.
    private static let patience = 60

    /// The error where several files could be the one that is read.
    static func uncertain(_ paths: [String]) -> KappaError {
        KappaError(
            .badInput, "it is not certain which file comes next",
            at: paths.joined(separator: ", "), because: "these files begin with the same events",
            advice: "Nothing was appended. Move away the one that is a copy, and pull again")
    }

    /// Nil where the files are renamed at the moment: a name may then be found twice or not at all.
    private static func openOnce(_ path: String) throws(KappaError) -> [OpenFile]? {
        let names = names(path)
        var files: [OpenFile] = []
        for name in names {
            guard let file = try openExisting(name) else { return nil }
            files.append(file)
        }
        let isSame = files.allSatisfy { $0.nameLoss == nil } && names == Self.names(path)
        return isSame ? files : nil
    }

    /// A rotated file that has the first bytes of the file itself: logrotate copies it, and has not cut it short
    /// yet.
    private static func copy(
        _ files: [OpenFile], of path: String
    ) throws(KappaError) -> String? {
        guard let own = files.last, own.path == path else { return nil }
        for file in files.dropLast() where try isCopy(file, of: own) { return file.path }
        return nil
    }

    private static func isCopy(
        _ file: OpenFile, of own: OpenFile
    ) throws(KappaError) -> Bool {
        let size = file.size
        if size == 0 || size > own.size { return false }
        var at = 0
        // Files that differ do so at their beginning.
        var piece = 4_096
        while at < size {
            let bytes = try file.bytes(at: at, count: min(piece, size - at))
            if try bytes != own.bytes(at: at, count: bytes.count) { return false }
            if bytes.isEmpty { break }
            at += bytes.count
            piece = 1 << 20
        }
        return true
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
