import Testing

/// Holds the order of the stations: bytes → Log → Events → … → Serve.
@Suite("The structure of the sources")
struct StructureTests {
    /// The files at KappaCore's root come first: they know no station.
    static let stations = [
        "", "Log", "Events", "Views", "Materializer", "Store", "Versions", "Compare", "Serve",
    ]

    private func station(of path: String) -> Int? {
        let parts = path.split(separator: "/").dropFirst(2).dropLast()
        return Self.stations.firstIndex(of: parts.first.map(String.init) ?? "")
    }

    @Test("every folder of KappaCore is a station")
    func folders() throws {
        let files = try SourceTree.files("Sources/KappaCore")
        #expect(files.count > 50)
        for file in files { #expect(station(of: file.path) != nil, "\(file.path)") }
        let found = Set(files.compactMap { station(of: $0.path) })
        #expect(found.count == Self.stations.count)
    }

    @Test("a station uses only what stands to its left")
    func order() throws {
        let files = try SourceTree.files("Sources/KappaCore")
        // Types at the top level, with the station that declares them.
        let declaration =
            #/^(?:(?:public|package|internal|final|indirect|@\w+)\s+)*(?:struct|class|enum|protocol|actor|typealias)\s+(\w+)/#
            .anchorsMatchLineEndings()
        var stationOfType: [Substring: Int] = [:]
        let codes = files.map { (file: $0, code: $0.code) }
        for (file, code) in codes {
            for match in code.matches(of: declaration) {
                stationOfType[match.1] = station(of: file.path)
            }
        }
        #expect(stationOfType.count > 80)
        #expect(stationOfType["LogReader"] == 1 && stationOfType["Diff"] == 7)

        for (file, code) in codes {
            guard let own = station(of: file.path) else { continue }
            // A generic parameter may be called like a type elsewhere.
            let generic = Set(code.matches(of: #/[<,]\s*(?:each )?(\w+)\s*[:,>]/#).map(\.1))
            for word in Set(code.matches(of: #/\b[A-Z]\w+\b/#).map(\.0)).subtracting(generic) {
                guard let other = stationOfType[word], other > own else { continue }
                Issue.record("\(file.path) uses \(word) of \(Self.stations[other])/")
            }
        }
    }

    @Test("Package.swift names no other package")
    func dependencies() throws {
        let package = try SourceTree.file("Package.swift")
        #expect(!package.code.contains(".package("))
        #expect(package.text.contains(".systemLibrary("))
    }
}

/// The house rules that a compiler does not hold.
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

    @Test("the sources hold no way to crash on data")
    func crashes() throws {
        for file in try SourceTree.files("Sources") {
            let code = file.code
            for word in ["fatalError", "try!", "as!"] {
                #expect(!code.contains(word), "\(file.path) has \(word)")
            }
        }
    }

    @Test("whoever says @unchecked Sendable says why")
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

    @Test("nothing is put off in a comment")
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
