import Glibc
import KappaTesting
import Testing

@testable import KappaCore

private struct Fact: Event, Encodable { var key: String }
private struct Count: ViewRow { var n = 0 }

private func counts(_ name: String) -> View<Count> {
    View(name, initially: Count(), digest: "1") {
        On(Fact.self, key: \.key) { _, row in row.n += 1 }
    }
}
private func numbers(_ name: String) -> View<Columns> {
    View(name, digest: "1") { Events(Fact.self).grouped(by: \.key).aggregate(.count().as("n")) }
}

@Suite("Unknown names")
struct NoSuchViewTests {
    private func isNotFound(
        _ what: Comment, sourceLocation: SourceLocation = #_sourceLocation,
        _ body: () async throws -> Void
    ) async {
        let error = await #expect(throws: KappaError.self, what, sourceLocation: sourceLocation) {
            try await body()
        }
        #expect(error?.code == .notFound, what, sourceLocation: sourceLocation)
        #expect(error?.reason != nil && error?.advice != nil, what, sourceLocation: sourceLocation)
    }

    @Test(
        "an unknown view is not found, by every call; a view without a version has no rows"
    )
    func everywhere() async throws {
        let folder = try TemporaryFolder(inMemory: true)
        let kappa = try await Kappa.open(
            folder.path, views: ViewSet([counts("a"), numbers("b")]))
        try await kappa.append(Fact(key: "k"))
        for name in ["nosuch", "", "A", "a@1", "../a", "a\0"] {
            let what: Comment = "\(name)"
            await isNotFound(what) { _ = try await kappa.rows(of: counts(name)) }
            await isNotFound(what) { _ = try await kappa.row(of: counts(name), key: "k") }
            await isNotFound(what) { _ = try await kappa.rows(of: numbers(name)) }
            await isNotFound(what) { _ = try await kappa.columns(of: counts(name)) }
            await isNotFound(what) { _ = try await kappa.position(of: numbers(name)) }
            await isNotFound(what) { for try await _ in kappa.changes(of: numbers(name)) {} }
            await isNotFound(what) { _ = try await kappa.rows(of: counts(name), at: .zero) }
            await isNotFound(what) {
                _ = try await kappa.row(of: counts(name), key: "k", at: .zero)
            }
            await isNotFound(what) { _ = try await kappa.rows(of: numbers(name), at: .zero) }
            await isNotFound(what) { try await kappa.promote(numbers(name)) }
        }
        // Known, but not yet built.
        #expect(try await kappa.rows(of: counts("a")) == [])
        #expect(try await kappa.rows(of: numbers("b")) == [])
        #expect(try await kappa.columns(of: counts("a")) == [])
        #expect(try await kappa.row(of: counts("a"), key: "k") == nil)
        #expect(try await kappa.position(of: numbers("b")) == nil)
        try await kappa.catchUp()
        await kappa.close()
        // A program without views of its own reads those that others have built.
        let reader = try await Kappa.open(folder.path, views: .empty)
        #expect(try await reader.rows(of: numbers("b")).map { $0["n"] } == [.integer(1)])
        #expect(try await reader.columns(of: counts("a")).map { $0["n"] } == [.integer(1)])
        #expect(try await reader.position(of: counts("a")) == Offset(1))
        await isNotFound("c") { _ = try await reader.rows(of: numbers("c")) }
        let none = await #expect(throws: KappaError.self) { try await reader.promote() }
        #expect(none?.code == .usage)
        await reader.close()
    }

    @Test("a data folder needs a name, and a place where a folder can be created")
    func folders() async throws {
        let folder = try TemporaryFolder(inMemory: true)
        let file = folder.path + "/file"
        let descriptor = open(file, O_CREAT | O_WRONLY, 0o644)
        close(descriptor)
        let rootBefore = Folder.names(in: "/")
        let hereBefore = Folder.names(in: ".")
        for (path, code) in [
            ("", KappaError.Code.usage), ("   ", .usage), ("\t\n", .usage),
            (folder.path + "/a\0b", .usage), (file, .cannotCreate), (file + "/data", .cannotCreate),
        ] {
            let error = await #expect(throws: KappaError.self) {
                try await Kappa.open(path, views: .empty)
            }
            #expect(error?.code == code, "\(path): \(error.map { "\($0)" } ?? "")")
            #expect(error?.reason != nil && error?.advice != nil, "\(path)")
        }
        #expect(Folder.names(in: "/") == rootBefore)
        #expect(Folder.names(in: ".") == hereBefore)
        #expect(Folder.names(in: folder.path) == ["file"])
    }

    @Test("the program says so, too, and creates no folder")
    func program() throws {
        let kappa = try KappaProgram()
        for words in [
            ["append", "--data", ""], ["append", "--data", "  "], ["run", "--data="],
            ["status", "--data", ""],
        ] {
            let finished = try kappa.start(words).wait()
            #expect(finished.code == 64, "\(words): \(finished)")
            #expect(finished.errors.contains("the data folder has no name"), "\(words)")
        }
        let none = try kappa.start(["append"], environment: ["KAPPA_DATA": ""]).wait()
        #expect(none.code == 64, "\(none)")
        try kappa.generate(5)
        for words in [
            ["query", "nosuch"], ["tail", "nosuch"], ["status", "nosuch"], ["dead", "nosuch"],
            ["rebuild", "nosuch"], ["promote", "nosuch"], ["rollback", "nosuch"],
            ["verify", "nosuch"], ["history", "nosuch"], ["snapshots", "nosuch"],
            ["abort", "nosuch"], ["diff", "nosuch@1", "nosuch@2"], ["why", "nosuch", "k"],
            ["run", "nosuch"], ["plan", "nosuch"], ["query", "nosuch@1"],
        ] {
            let finished = try kappa.start(words).wait()
            #expect([64, 66].contains(finished.code), "\(words): \(finished)")
            #expect(finished.output.isEmpty, "\(words): \(finished)")
        }
        #expect(Set(Folder.names(in: kappa.folder.path)).isSubset(of: ["data"]))
    }
}
