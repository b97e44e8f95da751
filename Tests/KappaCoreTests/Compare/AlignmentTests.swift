import KappaTesting
import Testing

@testable import KappaCore

@Suite("Bringing two sides to one position")
struct AlignmentTests {
    private let folder: VersionsFolder
    private let old = tally("a")
    private let new = tally("b", below: 30)

    init() throws {
        folder = try VersionsFolder()
        try folder.append(ticks: 40)
    }

    private func id(_ number: Int) -> CompareTarget {
        .version(VersionID("tally", VersionNumber(number)))
    }

    private func align(
        _ a: CompareTarget, _ b: CompareTarget, at offset: UInt64? = nil, _ views: ViewSet
    ) throws -> (
        offsets: [UInt64], rows: [[String]], ways: [Alignment.Origin.Way], names: [String]
    ) {
        let alignment = try Alignment(
            a, b, at: offset.map { Offset($0) }, in: folder.data, views)
        defer { withExtendedLifetime(alignment) {} }
        let readers = [alignment.old, alignment.new]
        let sides = [alignment.oldSide, alignment.newSide]
        return (
            try readers.map { try $0.checkpoint().offset.rawValue },
            try readers.map { try folder.csv($0) }, sides.map(\.way),
            sides.map(\.target.description)
        )
    }

    /// The rows of a view as of an offset, from a separate log and version.
    private func rows(_ view: any AnyView, at offset: Int) throws -> [String] {
        let fresh = try VersionsFolder()
        try fresh.append(ticks: 40)
        try fresh.catchUp([view], until: Offset(UInt64(offset)))
        return try fresh.rows("tally", 1)
    }

    @Test(
        "a definition without a version is built in a scratch folder up to the version's position")
    func definition() throws {
        try folder.catchUp([old], until: Offset(33))
        for isReversed in [false, true] {
            let definition = CompareTarget.definition("tally")
            var found = try align(
                isReversed ? definition : id(1), isReversed ? id(1) : definition, ViewSet([new]))
            if isReversed {
                found.rows.reverse()
                found.ways.reverse()
                found.names.reverse()
            }
            #expect(found.offsets == [33, 33])
            #expect(found.rows == [try rows(old, at: 33), try rows(new, at: 33)])
            #expect(found.ways == [.asItStands, .builtAside])
            #expect(found.names == ["tally@1", "tally (this build)"])
        }
        #expect(try folder.catalog().entries().count == 1)
        let unknown = #expect(throws: KappaError.self) {
            try align(id(1), .definition("nix"), ViewSet([new]))
        }
        #expect(unknown?.code == .notFound)
    }

    @Test("both sides are brought to an older offset, even with an earlier definition")
    func older() throws {
        try folder.catchUp([old], until: Offset(13))
        try folder.catchUp([new], promotes: false)
        let digest = try folder.reader("tally", 1).digest
        let earlier = tally("=" + digest)
        let views = ViewSet([new], earlier: [earlier])
        for offset in [0, 7, 13, 25, 40] {
            let found = try align(id(1), id(2), at: UInt64(offset), views)
            #expect(found.offsets == [UInt64(offset), UInt64(offset)])
            #expect(found.rows == [try rows(old, at: offset), try rows(new, at: offset)])
            #expect(
                found.ways[0]
                    == (offset < 13
                        ? .builtAside
                        : offset == 13 ? .asItStands : .broughtForward(from: Offset(13))))
            #expect(found.ways[1] == (offset == 40 ? .asItStands : .builtAside))
        }
        let error = #expect(throws: KappaError.self) {
            try align(id(1), id(2), at: 7, ViewSet([new]))
        }
        #expect(error?.code == .notFound)
        #expect(error?.reason?.contains(digest) == true)
        // A version that is at that offset needs no definition.
        #expect(try align(id(1), id(2), at: 13, ViewSet([new])).offsets == [13, 13])
        let far = #expect(throws: KappaError.self) { try align(id(1), id(2), at: 41, views) }
        #expect(far?.code == .notFound)
        #expect(!Folder.names(in: folder.data.path).contains { $0.hasPrefix("scratch") })
    }

    @Test("an older offset is reached from the nearest snapshot")
    func snapshots() throws {
        try folder.catchUp([old])
        for number in [1, 2] {
            let view = number == 1 ? old : new
            for offset in [10, 20] {
                let aside = try ScratchVersion(
                    ViewSet([view]).definitions()[0], number: number, to: Offset(UInt64(offset)),
                    in: folder.data)
                let path = Snapshots(folder.data).path(
                    VersionID("tally", VersionNumber(number)), Offset(UInt64(offset)))
                try Folder.make(folder.data.snapshots("tally"))
                try aside.reader.connection.copy(to: path)
            }
            if number == 1 { try folder.catchUp([new], promotes: false) }
        }
        let views = ViewSet([new], earlier: [tally("=" + (try folder.reader("tally", 1).digest))])
        for offset in [5, 10, 25, 40] {
            let found = try align(id(1), id(2), at: UInt64(offset), views)
            #expect(found.rows == [try rows(old, at: offset), try rows(new, at: offset)])
            let way: Alignment.Origin.Way =
                switch offset {
                case 5: .builtAside
                case 10: .snapshot
                case 25: .snapshotBroughtForward(from: Offset(20))
                default: .asItStands
                }
            #expect(found.ways == [way, way], "\(offset)")
        }
        // A snapshot of that very offset needs no definition.
        #expect(try align(id(1), id(2), at: 20, ViewSet([])).ways == [.snapshot, .snapshot])
    }

    @Test("only an earlier definition can be given the digest of a version")
    func digests() throws {
        let given = tally("=0123456789abcdef")
        #expect(throws: KappaError.self) { try ViewSet([given]).definitions() }
        #expect(
            ViewSet([old], earlier: [given]).comparable().last?.digest == "0123456789abcdef")
        for wrong in ["=0123", "=0123456789ABCDEF"] {
            let views = ViewSet([old], earlier: [tally(wrong)])
            #expect(views.comparable().count == 1)
            #expect(views.invalidEarlier().map(\.name) == ["tally"])
        }
    }
}
