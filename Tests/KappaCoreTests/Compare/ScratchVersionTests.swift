import KappaTesting
import Testing

@testable import KappaCore

@Suite("Scratch versions")
struct ScratchVersionTests {
    private let folder: VersionsFolder
    init() throws {
        folder = try VersionsFolder()
        try folder.append(ticks: 40)
    }

    private func definition(_ view: any AnyView) throws -> ViewDefinition {
        try ViewSet([view]).definitions()[0]
    }

    private var leftovers: [String] {
        Folder.names(in: folder.data.path).filter { $0.hasPrefix("scratch") }
    }

    @Test("one built from zero and one from a copy have the rows of a version at that offset")
    func rows() throws {
        let view = tally("a")
        try folder.catchUp([view], until: Offset(13))
        let expected = try folder.rows("tally", 1)
        let built = try ScratchVersion(
            try definition(view), to: Offset(13), in: folder.data)
        #expect(try folder.csv(built.reader) == expected)
        #expect(try built.reader.checkpoint().offset == Offset(13))
        let moved = try ScratchVersion(
            copyOf: folder.reader("tally", 1), try definition(view), to: Offset(40),
            in: folder.data)
        let whole = try ScratchVersion(try definition(view), to: Offset(40), in: folder.data)
        #expect(try folder.csv(moved.reader) == folder.csv(whole.reader))
        #expect(try folder.rows("tally", 1) == expected)
        let none = try ScratchVersion(try definition(view), to: .zero, in: folder.data)
        #expect(try folder.csv(none.reader) == [])
        withExtendedLifetime((built, moved, whole, none)) {}
    }

    @Test("its folder is removed with it")
    func removed() throws {
        var scratch: ScratchVersion? = try ScratchVersion(
            try definition(tally("a")), to: Offset(40), in: folder.data)
        #expect(leftovers.count == 1)
        #expect(scratch != nil)
        scratch = nil
        #expect(leftovers == [])
    }

    @Test("an error thrown by the progress ends the build, and leaves nothing")
    func interrupted() throws {
        struct Enough: Error {}
        var seen: [Offset] = []
        #expect(throws: Enough.self) {
            _ = try ScratchVersion(try definition(tally("a")), to: Offset(40), in: folder.data) {
                done, end in
                #expect(end == Offset(40))
                seen.append(done)
                if done > .zero { throw Enough() }
            }
        }
        #expect(seen == [.zero, Offset(40)])
        #expect(leftovers == [])
    }

    @Test("an offset past the end of the log is refused")
    func tooFar() throws {
        let error = #expect(throws: KappaError.self) {
            _ = try ScratchVersion(try definition(tally("a")), to: Offset(41), in: folder.data)
        }
        #expect(error?.code == .notFound)
        #expect(leftovers == [])
    }
}
