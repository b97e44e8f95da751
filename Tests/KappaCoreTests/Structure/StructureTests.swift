import Testing

/// The folders of a module, from left to right, and the uses between them: no folder may use a type of one to
/// its right.
struct FolderOrder {
    let folders: [String]

    /// The number of the folder that a file is in.
    func folder(of file: SourceTree.File) -> Int? {
        let parts = file.path.split(separator: "/").dropFirst(2).dropLast()
        return parts.first.flatMap { folders.firstIndex(of: String($0)) }
    }

    /// The types that files declare at their top level, with the number of their folder.
    func types(of files: [SourceTree.File]) -> [Substring: Int] {
        let declaration =
            #/^(?:(?:public|package|internal|final|indirect|@\w+)\s+)*(?:struct|class|enum|protocol|actor|typealias)\s+(\w+)/#
            .anchorsMatchLineEndings()
        var types: [Substring: Int] = [:]
        for file in files {
            for match in file.code.matches(of: declaration) { types[match.1] = folder(of: file) }
        }
        return types
    }

    func violations(in files: [SourceTree.File]) -> [String] {
        let types = types(of: files)
        // Not after a full stop, where the name is a member's. A word boundary would not work: in Swift's
        // regular expressions there is none around the full stop of `Type.member`.
        let name = #/(?:^|[^\w.])([A-Z]\w*)/#.anchorsMatchLineEndings()
        let nested = #/(?:struct|class|enum|typealias|associatedtype)\s+(\w+)/#
        let generics =
            #/(?:func\s+[^\s(]+?|init[?!]?|subscript|(?:struct|class|enum|protocol|actor|typealias)\s+\w+)\s*<([^>]*)>/#
        var found: [String] = []
        for file in files {
            guard let own = folder(of: file) else { continue }
            let code = file.code
            // A file's own types, and the parameters of its generic types, may have the name of a type
            // elsewhere.
            let parameters = code.matches(of: generics).flatMap { match in
                match.1.split(separator: ",").compactMap {
                    $0.firstMatch(of: #/(?:each\s+)?(\w+)/#)?.1
                }
            }
            let known = Set(code.matches(of: nested).map(\.1) + parameters)
            for word in Set(code.matches(of: name).map(\.1)).subtracting(known).sorted() {
                guard let other = types[word], other > own else { continue }
                found.append("\(file.path) uses \(word) of \(folders[other])/")
            }
        }
        return found
    }
}

/// Checks the order of the folders: bytes → Log → Events → … → Serve.
@Suite("The structure of the sources")
struct StructureTests {
    static let order = FolderOrder(folders: [
        "Base", "Log", "Events", "Rows", "Store", "Operators", "Views", "Materializer", "Versions",
        "Compare", "Serve",
    ])

    @Test("every file of KappaCore is in a folder of the known order")
    func folders() throws {
        let files = try SourceTree.files("Sources/KappaCore")
        #expect(files.count > 50)
        for file in files { #expect(Self.order.folder(of: file) != nil, "\(file.path)") }
        let found = Set(files.compactMap { Self.order.folder(of: $0) })
        #expect(found.count == Self.order.folders.count)
    }

    @Test("a folder uses only folders to its left")
    func order() throws {
        let files = try SourceTree.files("Sources/KappaCore")
        let types = Self.order.types(of: files)
        #expect(types.count > 200)
        #expect(types["LogReader"] == 1 && types["Diff"] == 9)
        #expect(Self.order.violations(in: files) == [])
    }

    @Test(
        "a use of a type further right is found, however it is written",
        arguments: [
            "let reader = Diff.make()", "func read(_ diff: Diff) {}", "let diffs: [Diff?] = []",
            "struct A: Diff {}", "extension Diff { var a: Int { 1 } }", "let a = b as? Diff",
            "func read() -> some Sequence<Diff> { [] }", "try (Diff.make(), 1)", "_ = Diff.self",
            "func read<D: Diff>(_ d: D) {}", "@Diff var a = 1", "case diff(Diff)", "{Diff.a}",
            "typealias A = Diff", "let a = \\Diff.b", "if a is Diff, b {}", "!Diff.isThere",
        ])
    func planted(line: String) {
        let files = [
            SourceTree.File(path: "Sources/KappaCore/Compare/Diff.swift", text: "struct Diff {}"),
            SourceTree.File(path: "Sources/KappaCore/Log/A.swift", text: "\(line)\n"),
        ]
        #expect(Self.order.violations(in: files).count == 1)
    }

    @Test(
        "text that only looks like such a use is ignored",
        arguments: [
            "// Diff is elsewhere", "let a = \"Diff\"", "let a = b.Diff", "enum Diff {}",
            "struct A<Diff> { let a: Diff }", "let aDiff = DiffOfTwo()",
        ])
    func harmless(line: String) {
        let files = [
            SourceTree.File(path: "Sources/KappaCore/Compare/Diff.swift", text: "struct Diff {}"),
            SourceTree.File(path: "Sources/KappaCore/Compare/A.swift", text: "\(line)\n"),
            SourceTree.File(path: "Sources/KappaCore/Serve/A.swift", text: "\(line)\n"),
            SourceTree.File(path: "Sources/KappaCore/Log/A.swift", text: "\(line)\n"),
        ]
        #expect(Self.order.violations(in: files) == [])
    }

    @Test("Package.swift names no other package")
    func dependencies() throws {
        let package = try SourceTree.file("Package.swift")
        #expect(!package.code.contains(".package("))
        #expect(package.text.contains(".systemLibrary("))
    }
}

/// Only one folder of KappaCore knows SQLite; the others use its Swift interface.
@Suite("SQL in one place")
struct SQLPlaceTests {
    private static let folder = "Sources/KappaCore/Store/SQLite/"

    /// Where a file uses SQLite: names of its interface, and statements in text.
    static func uses(in file: SourceTree.File) -> [String] {
        let name =
            #/(?:^|[^\w])(CSQLite|sqlite3_\w+|SQLITE_\w+|SQLiteConnection|SQLiteStatement|ReadingConnection|VersionSchema|SQLGuard|SQLFunctions|SQLStatement)(?!\w)/#
            .anchorsMatchLineEndings()
        let statement =
            #/\b(?:SELECT\s+\S+.*\sFROM|INSERT\s+(?:OR\s+\w+\s+)?INTO|UPDATE\s+\S+\s+SET|DELETE\s+FROM|CREATE\s+(?:TEMP\s+)?(?:TABLE|VIEW|INDEX)|DROP\s+TABLE|ATTACH\s|PRAGMA\s)/#
        let connection = #/\.connection(?!\w)/#
        let uncommented = file.text.replacing(#/\/\/.*/#, with: "")
        return file.code.matches(of: name).map { String($0.1) }
            + file.code.matches(of: connection).map { String($0.0) }
            + uncommented.matches(of: statement).map { String($0.0) }
    }

    @Test("only Store/SQLite has SQL, or calls SQLite")
    func place() throws {
        for file in try SourceTree.files("Sources/KappaCore")
        where !file.path.hasPrefix(Self.folder) {
            #expect(Self.uses(in: file) == [], "\(file.path)")
        }
        // The test finds the existing uses.
        let known = try SourceTree.files(String(Self.folder.dropLast()))
        #expect(known.filter { !Self.uses(in: $0).isEmpty }.count > 20)
    }

    @Test(
        "each way to use SQLite is found",
        arguments: [
            "import CSQLite", "sqlite3_step(handle)", "let a: SQLiteConnection",
            "[SQLiteStatement]",
            "VersionSchema.quoted(name)", "reader.connection.prepare(sql)", "code == SQLITE_ROW",
            "let sql = \"SELECT a FROM b\"", "execute(\"DELETE FROM b\")",
            "\"PRAGMA user_version\"",
            "\"UPDATE b SET a = 1\"", "\"INSERT OR REPLACE INTO b VALUES (1)\"",
            "\"ATTACH ? AS b\"",
            "\"CREATE TEMP VIEW a AS\"",
        ])
    func planted(line: String) {
        let file = SourceTree.File(path: "Sources/KappaCore/Serve/A.swift", text: "\(line)\n")
        #expect(!Self.uses(in: file).isEmpty)
    }

    @Test(
        "text that only mentions SQLite is ignored",
        arguments: [
            "// SELECT a FROM b", "because: \"the SELECT of a gate has no text\"",
            "/// A `PRAGMA data_version`.", "readers (sqlite3)", "let connections = 3",
        ])
    func harmless(line: String) {
        let file = SourceTree.File(path: "Sources/KappaCore/Serve/A.swift", text: "\(line)\n")
        #expect(Self.uses(in: file) == [])
    }
}

/// The house rules that a compiler does not check.
@Suite("The sources are tidy")
struct TidyTests {
    private static let swift = ["Sources", "Tests", "views", "Plugins", "fixtures"]

    @Test("no file has more than 400 lines")
    func length() throws {
        var long: Set<String> = []
        for folder in Self.swift {
            for file in try SourceTree.files(folder, ["swift", "c", "h", "cpp", "hpp"])
            where file.text.count(where: { $0 == "\n" }) > 400 {
                long.insert(file.path)
            }
        }
        #expect(long == [])
    }

    @Test("the sources use nothing that crashes on data")
    func crashes() throws {
        for file in try SourceTree.files("Sources") {
            let code = file.code
            for word in ["fatalError", "try!", "as!"] {
                #expect(!code.contains(word), "\(file.path) has \(word)")
            }
        }
    }

    @Test("every @unchecked Sendable has a reason")
    func unchecked() throws {
        for file in try SourceTree.files("Sources") {
            let lines = file.text.split(separator: "\n", omittingEmptySubsequences: false)
            for (number, line) in lines.enumerated() where line.contains("@unchecked Sendable") {
                if line.contains("//") { continue }
                let comment = lines[..<number].reversed().prefix { line in
                    line.contains("//") || line.trimmingPrefix(#/\s+/#).hasPrefix("@")
                }
                #expect(
                    comment.contains { $0.contains("@unchecked Sendable") },
                    "\(file.path):\(number + 1)")
            }
        }
    }

    @Test("no comment postpones work")
    func marks() throws {
        let marks = ["TO" + "DO", "FIX" + "ME", "XX" + "X:"]
        for folder in Self.swift {
            for file in try SourceTree.files(folder, ["swift", "c", "h", "cpp", "hpp", "sh"]) {
                for mark in marks { #expect(!file.text.contains(mark), "\(file.path)") }
            }
        }
    }

    @Test("file names are unique within a module")
    func names() throws {
        let names = try SourceTree.files("Sources/KappaCore").map(\.name)
        #expect(Set(names).count == names.count)
    }
}
