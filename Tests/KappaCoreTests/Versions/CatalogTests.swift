import Glibc
import Testing

@testable import KappaCore

@Suite("The catalog of versions")
struct CatalogTests {
    private let folder: VersionsFolder
    private var data: DataFolder { folder.data }

    init() throws { folder = try VersionsFolder() }

    private func id(_ number: Int) -> VersionID { VersionID("tally", VersionNumber(number)) }
    private func target() -> String? { folder.data.linkedNumber(of: "tally")?.description }
    private func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    private func drop(_ id: VersionID, _ catalog: Catalog) throws {
        let lease = try Lease(id, in: data)
        try catalog.drop(id)
        withExtendedLifetime(lease) {}
    }

    @Test("numbers increase per view, and are never reused")
    func numbers() throws {
        var catalog = try folder.catalog()
        #expect(try catalog.create(view: "tally", digest: "a") == id(1))
        #expect(try catalog.create(view: "tally", digest: "b") == id(2))
        #expect(try catalog.create(view: "other", digest: "a").number == VersionNumber(1))
        try drop(id(2), catalog)
        catalog = try folder.catalog()
        #expect(try catalog.create(view: "tally", digest: "b") == id(3))
        #expect(try catalog.entries(of: "tally").map(\.id) == [id(1), id(3)])
    }

    @Test("a version goes from building to live, and the previous one retires")
    func states() throws {
        try folder.append(ticks: 10)
        let catalog = try folder.catalog()
        _ = try catalog.create(view: "tally", digest: "x")
        #expect(try folder.entry("tally", 1)?.state == .building)
        try drop(id(1), catalog)
        try folder.catchUp([tally("a")], promotes: false)
        #expect(try folder.entry("tally", 2)?.state == .ready)
        #expect(try folder.entry("tally", 2)?.isLive == false)
        try folder.catchUp([tally("a")])
        #expect(try folder.entry("tally", 2)?.state == .live)
        try folder.catchUp([tally("b")], until: Offset(4))
        #expect(try folder.entry("tally", 3)?.state == .ready)
        #expect(try folder.reader("tally", 3).checkpoint().offset == Offset(4))
        try folder.catchUp([tally("b")])
        #expect(try folder.entry("tally", 2)?.state == .retired)
        #expect(try folder.entry("tally", 3)?.state == .live)
        #expect(try folder.entry("tally", 3)?.isLive == true)
    }

    @Test("a reference is the version named, else the live one, else the newest")
    func resolving() throws {
        try folder.append(ticks: 10)
        let catalog = try folder.catalog()
        let error = #expect(throws: KappaError.self) {
            try catalog.resolve(VersionReference("tally"))
        }
        #expect(error?.code == .notFound)
        try folder.catchUp([tally("a")], promotes: false)
        #expect(try catalog.resolve(VersionReference("tally")).id == id(1))
        try folder.catchUp([tally("a")])
        try folder.catchUp([tally("b")], promotes: false)
        #expect(try catalog.resolve(VersionReference("tally")).id == id(1))
        #expect(try catalog.resolve(VersionReference("tally@2")).id == id(2))
        let missing = #expect(throws: KappaError.self) {
            try catalog.resolve(VersionReference("tally@9"))
        }
        #expect(missing?.reason == "there are tally@1, tally@2")
        for bad in ["tally@", "tally@x", "tally@0", "tally@-1"] {
            let error = #expect(throws: KappaError.self) { try VersionReference(bad) }
            #expect(error?.code == .usage, "\(bad)")
        }
    }

    @Test("the second holder of a lease is told the process number of the first")
    func leases() throws {
        var first: Lease? = try Lease(id(1), in: data)
        first?.report(.init(eventsPerSecond: 1_234_567))
        first?.report(.init(eventsPerSecond: 5))
        #expect(
            Lease.holder(of: id(1), in: data) == Lease.Report(pid: getpid(), eventsPerSecond: 5))
        let error = #expect(throws: KappaError.self) { try Lease(id(1), in: data) }
        #expect(error?.code == .heldElsewhere)
        #expect(error?.reason == "process \(getpid()) holds its lease")
        #expect(error?.place == data.lease(id(1)))
        withExtendedLifetime(first) {}
        first = nil
        #expect(Lease.holder(of: id(1), in: data) == nil)
        _ = try Lease(id(1), in: data)
    }

    @Test("the history has every switch with its position and reason")
    func history() throws {
        try folder.append(ticks: 10)
        try folder.catchUp([tally("a")])
        try folder.append(ticks: 5)
        try folder.catchUp([tally("b")])
        let catalog = try folder.catalog()
        _ = try Promotion(catalog).rollBack(["tally"])
        let history = try folder.catalog().history(of: "tally")
        #expect(history.map { $0.from?.rawValue } == [nil, 1, 2])
        #expect(history.map(\.to.rawValue) == [1, 2, 1])
        #expect(history.map(\.position.rawValue) == [10, 15, 10])
        #expect(history.map(\.reason) == ["caught up", "caught up", "rollback"])
        #expect(history.allSatisfy { $0.atMicros > 1_600_000_000_000_000 })
    }

    @Test("a missing or wrong live link is corrected when the catalog is opened")
    func mendsLinks() throws {
        try folder.append(ticks: 10)
        try folder.catchUp([tally("a")])
        try folder.catchUp([tally("b")])
        #expect(target() == "2")
        unlink(data.liveLink("tally"))
        _ = try folder.catalog()
        #expect(target() == "2")
        try data.pointLink(of: "tally", to: VersionNumber(1))
        _ = try folder.catalog()
        #expect(target() == "2")
        // Any SQLite client reads the live version through the link.
        let client = try SQLiteConnection(data.liveLink("tally"), .readWrite)
        #expect(try client.integer("SELECT sum(n) FROM tally") == 10)
    }

    @Test(
        "leftovers of a killed process are removed at the next open, unless a process works on them"
    )
    func removesLeftovers() throws {
        try folder.append(ticks: 10)
        try folder.catchUp([tally("a")])
        let held = try Lease(id(7), in: data)
        for number in [7, 8] {
            for suffix in ["", "-wal", "-shm"] {
                close(open(data.file(id(number)) + suffix, O_CREAT | O_WRONLY, 0o644))
            }
        }
        let scratch = data.path + "/scratch-abcdef"
        try Folder.make(scratch)
        for name in ["copy.db", DataFolder.scratchMark] {
            close(open("\(scratch)/\(name)", O_CREAT | O_WRONLY, 0o644))
        }
        _ = try folder.catalog()
        #expect(exists(data.file(id(7))))
        for suffix in ["", "-wal", "-shm"] { #expect(!exists(data.file(id(8)) + suffix)) }
        #expect(!exists(scratch))
        #expect(exists(data.file(id(1))))
        withExtendedLifetime(held) {}
    }

    @Test("a live version cannot be dropped; another one is removed with its files")
    func drops() throws {
        try folder.append(ticks: 10)
        try folder.catchUp([tally("a")])
        try folder.catchUp([tally("b")], promotes: false)
        let catalog = try folder.catalog()
        let error = #expect(throws: KappaError.self) { try catalog.drop(id(1)) }
        #expect(error?.what == "tally@1 is live")
        #expect(exists(data.file(id(1))))
        try catalog.drop(id(2))
        #expect(!exists(data.file(id(2))))
        #expect(!exists(data.lease(id(2))))
        #expect(try folder.entry("tally", 2) == nil)
    }

    @Test("garbage is retired and failed versions that nobody holds, except the newest few")
    func garbage() throws {
        try folder.append(ticks: 10)
        for digest in ["a", "b", "c", "d"] { try folder.catchUp([tally(digest)]) }
        try folder.catchUp([tally("e")], promotes: false)
        let catalog = try folder.catalog()
        var held: Lease? = try Lease(id(1), in: data)
        #expect(try Garbage(catalog).collect(keep: 1).map(\.id) == [id(2)])
        #expect(try catalog.entries().map(\.id) == [id(1), id(3), id(4), id(5)])
        withExtendedLifetime(held) {}
        held = nil
        let dropped = try Garbage(catalog).collect(keep: 0)
        #expect(dropped.map(\.id) == [id(1), id(3)])
        #expect(dropped.allSatisfy { $0.bytes > 0 })
        // The live one and the ready one stay.
        #expect(try catalog.entries().map(\.id) == [id(4), id(5)])
    }

    @Test("one definition makes one version, however many runners start it at once")
    func oneVersionForADefinition() throws {
        try folder.append(ticks: 10)
        let builds = try (0..<4).map { _ in try RunningBuild(data, [tally("a")]) }
        try waitFor("one of them works, the others stand by") {
            try builds.count { $0.said == ["left tally@1"] } == 3
                && folder.entry("tally", 1)?.isLive == true
        }
        #expect(try folder.catalog().entries().map(\.id) == [id(1)])
        for build in builds { try build.stop() }
    }
}
