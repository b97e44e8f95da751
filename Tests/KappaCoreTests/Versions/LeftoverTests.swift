import Foundation
import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// Every file in a data folder belongs to something; a file that belongs to nothing is removed by the next
/// process that may.
@Suite("Leftovers of killed processes")
struct LeftoverTests {
    private let folder: VersionsFolder
    private let files = FileManager.default
    private var place: String { folder.data.view("tally") }

    init() throws {
        folder = try VersionsFolder()
        try folder.append(ticks: 20)
    }

    private func id(_ number: Int) -> VersionID { VersionID("tally", VersionNumber(number)) }

    private func make(_ names: String...) throws {
        for name in names {
            let path = "\(place)/\(name)"
            let above = (path as NSString).deletingLastPathComponent
            try files.createDirectory(atPath: above, withIntermediateDirectories: true)
            try #require(files.createFile(atPath: path, contents: Data()))
        }
    }

    @Test("everything left of a version that the catalog does not know is removed at the next open")
    func unknown() throws {
        try folder.catchUp([tally("a")])
        try make(
            "9.lease", "18.crash", "19.sample.crash", "20.gates.crash", "10.db.loading",
            "10.db.loading-journal", "11.db-journal",
            "12.db.runs/0-0.run",
            "13.sample.db", "14.sample.db.loading", "15.db-wal", "snapshots/16@20.db",
            "snapshots/17@20.db.making-journal")
        // A file whose name does not follow kappa's scheme is foreign.
        try make("notes.db", "09.db", "9.notes", "-9.db", "9", "snapshots/x@1.db")
        _ = try folder.catalog()
        #expect(
            try files.contentsOfDirectory(atPath: place)
                .filter { !["1.db-wal", "1.db-shm"].contains($0) }.sorted() == [
                    "-9.db", "09.db", "1.crash", "1.db", "1.lease", "9", "9.notes", "live.db",
                    "notes.db",
                    "snapshots", "switch.lock",
                ])
        #expect(try files.contentsOfDirectory(atPath: place + "/snapshots") == ["x@1.db"])
    }

    @Test(
        "a foreign file named like a version's file stays, whatever opens or cleans the folder"
    )
    func foreign() throws {
        try folder.catchUp([tally("a")])
        let text = Data("somebody's notes".utf8)
        let own = try Data(contentsOf: URL(fileURLWithPath: "\(place)/1.db"))
        let foreign = [
            "77.db": text, "78.db": own, "79.db.loading": text, "80.sample.db": text,
            "81.sample.db.loading": own, "snapshots/82@5.db": text, "snapshots/83@5.db": own,
        ]
        try make("snapshots/x")
        for (name, bytes) in foreign {
            try bytes.write(to: URL(fileURLWithPath: "\(place)/\(name)"))
        }
        try SQLiteConnection("\(place)/84.db", .create).execute(
            "PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)")
        _ = try folder.catalog()
        try folder.catchUp([tally("b")])
        let garbage = Garbage(try folder.catalog())
        _ = try garbage.collect(keep: 0)
        _ = try garbage.collectSnapshots(keep: 0)
        try garbage.removeLeftovers()
        for (name, bytes) in foreign {
            #expect(files.contents(atPath: "\(place)/\(name)") == bytes, "\(name)")
        }
        #expect(
            try SQLiteConnection("\(place)/84.db", .readOnly).integer("SELECT x FROM t") == 1)
    }

    @Test("the files of a version whose dropping was interrupted by a kill are removed")
    func dropped() throws {
        for digest in ["a", "b"] { try folder.catchUp([tally(digest)]) }
        try SQLiteConnection(folder.data.path + "/catalog.db", .readWrite).execute(
            "DELETE FROM versions WHERE number = 1")
        _ = try folder.catalog()
        #expect(!files.fileExists(atPath: place + "/1.db"))
        #expect(files.fileExists(atPath: place + "/2.db"))
    }

    @Test("half-made files of a version that nobody works on are removed, and the version stays")
    func known() throws {
        for digest in ["a", "b"] { try folder.catchUp([tally(digest)]) }
        let rows = try folder.rows("tally", 1)
        func leave() throws {
            try make(
                "1.db-journal", "1.db.loading", "1.db.loading-journal", "1.db.runs/0-0.run",
                "1.sample.db", "1.sample.db.loading", "1.sample.db-journal",
                "snapshots/1@9.db.making", "snapshots/1@9.db.making-wal")
            try files.createSymbolicLink(
                atPath: place + "/live.db.new", withDestinationPath: "1.db")
        }
        try leave()
        let held = try Lease(id(1), in: folder.data)
        let before = try files.contentsOfDirectory(atPath: place).sorted()
        try Garbage(folder.catalog()).removeLeftovers()
        #expect(
            try files.contentsOfDirectory(atPath: place).sorted()
                == before.filter { $0 != "live.db.new" })
        held.release()
        try Garbage(folder.catalog()).removeLeftovers()
        #expect(Self.strays(in: folder.data) == [])
        #expect(try folder.rows("tally", 1) == rows)
        // A run does that, too.
        try leave()
        try folder.catchUp([tally("b")])
        #expect(Self.strays(in: folder.data) == [])
    }

    @Test("a journal with which SQLite rolls back is not just removed")
    func hotJournal() throws {
        for digest in ["a", "b"] { try folder.catchUp([tally(digest)]) }
        let rows = try folder.rows("tally", 1)
        let path = folder.data.file(id(1))
        // As left by a process that is killed while it turns on the write-ahead log.
        do {
            let connection = try SQLiteConnection(path, .readWrite)
            try connection.execute("PRAGMA journal_mode = DELETE; PRAGMA cache_size = 1")
            try connection.execute(
                "BEGIN; DELETE FROM tally; UPDATE _kappa_checkpoint SET offset = 3")
            try connection.execute("PRAGMA cache_spill = 1")
            for name in ["1.db", "1.db-journal"] {
                let from = "\(place)/\(name)"
                guard files.fileExists(atPath: from) else { continue }
                try files.copyItem(atPath: from, toPath: from + ".kept")
            }
        }
        for name in ["1.db", "1.db-journal"] where files.fileExists(atPath: "\(place)/\(name).kept")
        {
            rename("\(place)/\(name).kept", "\(place)/\(name)")
        }
        try Garbage(folder.catalog()).removeLeftovers()
        #expect(Self.strays(in: folder.data) == [])
        #expect(try folder.rows("tally", 1) == rows)
    }

    @Test(
        "a scratch folder that was not marked yet is removed if it is empty and private"
    )
    func scratch() throws {
        let data = folder.data.path
        let made = try Folder.makeTemporary(in: data, prefix: "scratch")
        let full = try Folder.makeTemporary(in: data, prefix: "scratch")
        _ = files.createFile(atPath: full + "/a", contents: Data())
        for name in ["scratch-photos", "scratch-notes"] {
            try files.createDirectory(
                atPath: "\(data)/\(name)", withIntermediateDirectories: false,
                attributes: [.posixPermissions: name == "scratch-photos" ? 0o755 : 0o700])
        }
        _ = try folder.catalog()
        #expect(!files.fileExists(atPath: made))
        for kept in [full, "\(data)/scratch-photos", "\(data)/scratch-notes"] {
            #expect(files.fileExists(atPath: kept), "\(kept)")
        }
    }

    @Test("gc drops builds that nothing would finish, and keeps the others")
    func abandoned() throws {
        // 1 and 4 were live; 2 and 3 were overtaken, one of them unfinished.
        try folder.catchUp([tally("a")])
        try folder.catchUp([tally("b")], until: Offset(9))
        try folder.catchUp([tally("c")], promotes: false)
        try folder.catchUp([tally("d")])
        let catalog = try folder.catalog()
        // Unfinished, as left by a killed process.
        func begin(_ digest: String, promotes: Bool? = nil) throws -> VersionID {
            let definition = try #require(try ViewSet([tally(digest)]).definitions().first)
            let id = try catalog.create(view: "tally", digest: definition.digest)
            if let promotes { try catalog.wantRebuild(id, promotes: promotes) }
            return id
        }
        try catalog.setState(id(2), .building)
        let ofNobody = try begin("d")
        let overtaken = try begin("e")
        let rebuild = try begin("d", promotes: true)
        #expect(
            try Garbage(catalog).collect(keep: 1).map(\.id) == [id(3), id(2), ofNobody, overtaken])
        // A rollback goes to 1, since 3 was never live.
        #expect(try catalog.entries().map(\.id) == [id(1), id(4), rebuild])
        #expect(try Garbage(catalog).collect(keep: 0).map(\.id) == [id(1)])
        try folder.catchUp([tally("d")])
        #expect(try catalog.live("tally") == rebuild.number)
        // A ready version that is newer than all that were live waits for a person.
        try folder.catchUp([tally("f")], promotes: false)
        try folder.catchUp([tally("g")], promotes: false)
        #expect(try Garbage(catalog).collect(keep: 0).map(\.id) == [id(4)])
    }

    /// The files and folders in a data folder that belong to nothing.
    static func strays(in data: DataFolder) -> [String] {
        guard let catalog = try? Catalog(data), let entries = try? catalog.entries() else {
            return ["catalog.db"]
        }
        var strays = Folder.names(in: data.path).filter {
            !["catalog.db", "catalog.db-wal", "catalog.db-shm", "log", "views"].contains($0)
        }
        for view in data.viewsOnDisk {
            var owned: Set = ["switch.lock", "live.db", "snapshots"]
            var copies: [String] = []
            for entry in entries where entry.id.view == view {
                let number = "\(entry.id.number)"
                owned.formUnion(
                    [".lease", ".crash", ".sample.crash", ".gates.crash"].map { number + $0 })
                for file in [number + ".db", number + ".sample.db"] {
                    for suffix in ["", "-wal", "-shm"] { owned.insert(file + suffix) }
                }
                // A build continues from these.
                if entry.isUnfinished, SpilledRuns.exist(data.file(entry.id)) {
                    owned.formUnion([number + ".db.runs", number + ".db.loading"])
                }
                copies += Snapshots(data).all(of: entry.id).map(\.path)
            }
            let place = data.view(view)
            strays += Folder.names(in: place).filter { !owned.contains($0) }
                .map { "views/\(view)/\($0)" }
            strays += Folder.names(in: data.snapshots(view))
                .filter { !copies.contains("\(data.snapshots(view))/\($0)") }
                .map { "views/\(view)/snapshots/\($0)" }
        }
        return strays
    }
}
