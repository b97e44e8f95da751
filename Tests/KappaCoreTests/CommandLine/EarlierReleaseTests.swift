import Foundation
import Testing

@testable import KappaCore

/// Data folders that earlier releases have made. `fixtures/releases` has one for each format of the log, with
/// the rows that the release printed.
@Suite("Data folders of earlier releases") struct EarlierReleaseTests {
    private let kappa: KappaProgram
    private static let views = ["user_totals", "action_counts", "purchase_funnel"]

    init() throws {
        kappa = try KappaProgram()
        let archive = SourceTree.package.path + "/fixtures/releases/format-1.tar.gz"
        let unpacked = try kappa.shell("tar xzf '\(archive)'")
        try #require(unpacked.code == 0, "\(unpacked)")
    }

    private func rows(_ name: String) throws -> String {
        try String(contentsOfFile: "\(kappa.folder.path)/rows/\(name).csv", encoding: .utf8)
    }

    private func requireRows() throws {
        for view in Self.views {
            let query = try kappa.run("query", view, "--format", "csv")
            #expect(try query.code == 0 && query.output == rows(view), "\(view): \(query)")
        }
    }

    private func magic() throws -> String {
        let path = LogHead.path(kappa.data.log)
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        return String(decoding: bytes.prefix(4), as: UTF8.self)
    }

    @Test("are read as they are, and rebuilt to the same rows")
    func replay() throws {
        #expect(try magic() == "KPH1")
        try requireRows()
        let verified = try kappa.run("log", "verify", "--format", "json")
        #expect(verified.records.first?["events"] as? Int == 400, "\(verified)")
        #expect(try kappa.run("rebuild", "--all").code == 0)
        try requireRows()
        #expect(try kappa.run("query", "user_totals@2").code == 0)
    }

    @Test("are appended to, sealed and followed")
    func continued() throws {
        // The source has no digest yet: it is made once.
        for _ in 0..<2 {
            let again = try kappa.run("append", "--source", "shop", "events.ndjson")
            #expect(again.code == 0 && again.output.contains("skipped 300"), "\(again)")
            #expect(again.errors.contains("an earlier kappa imported source shop"))
        }
        let more = try kappa.shell(
            """
            { cat events.ndjson; kappa generate user-events --count 20 --seed 9; } > more
            kappa append --source shop more && kappa append --source shop more
            """)
        #expect(more.code == 0 && more.output.contains("appended 20 events"), "\(more)")
        #expect(more.errors.split(separator: "\n").count == 1, "\(more)")
        let edited = try kappa.shell("sed '5s/user/other/' more | kappa append --source shop")
        #expect(edited.code == 65 && edited.errors.contains("line 5"), "\(edited)")
        #expect(try magic() == "KPH3")
        #expect(try kappa.run("run", "--until-caught-up").code == 0)
        #expect(try kappa.run("log", "seal").code == 0)
        let verified = try kappa.run("log", "verify", "--format", "json")
        #expect(verified.records.first?["events"] as? Int == 420, "\(verified)")
        for view in Self.views {
            let before = try kappa.run("query", view, "--format", "csv")
            #expect(try before.output != rows(view))
            #expect(try kappa.run("rebuild", view).code == 0)
            #expect(try kappa.run("query", view, "--format", "csv").output == before.output)
        }
    }
}

/// A data folder that this release's format made, with all that a log and versions can have.
@Suite("A data folder of format 2") struct SecondFormatTests {
    private static let views = ["user_totals", "action_counts", "purchase_funnel"]
    private static let archive = SourceTree.package.path + "/fixtures/releases/format-2.tar.gz"

    private static func rows(_ kappa: KappaProgram, _ view: String) throws -> String {
        try kappa.run("query", view, "--format", "csv").output
    }

    /// Makes the archive: once for a format, with `KAPPA_MAKE_RELEASE=1`.
    @Test(
        "is made",
        .enabled(
            if: ProcessInfo.processInfo.environment["KAPPA_MAKE_RELEASE"] != nil,
            "with KAPPA_MAKE_RELEASE=1, when a format is new"))
    func make() throws {
        let kappa = try KappaProgram()
        let made = try kappa.shell(
            """
            mkdir rows
            kappa generate user-events --count 300 --seed 4 > events.ndjson
            head -100 events.ndjson > first.ndjson
            kappa append --source shop first.ndjson && kappa log seal
            kappa append --source shop events.ndjson && kappa log seal --zstd
            kappa generate user-events --count 50 --seed 5 \
              | kappa append --source edge/1 --time-partition
            kappa tick --source edge/1 --time 2024-01-15T16:00:00Z
            kappa run --until-caught-up --keep-snapshots every=100 2> /dev/null
            kappa rebuild user_totals 2> /dev/null
            """)
        try #require(made.code == 0, "\(made)")
        #expect(try LogEraser(kappa.data.log).erase([Offset(150), Offset(320)]) == 2)
        try #require(try kappa.run("log", "trim", "--before", "100").code == 0)
        for view in Self.views {
            let rows = try Self.rows(kappa, view)
            try rows.write(
                toFile: "\(kappa.folder.path)/rows/\(view).csv", atomically: true, encoding: .utf8)
        }
        let packed = try kappa.shell(
            "rm -f data/*-shm data/views/*/*-shm; tar czf '\(Self.archive)' data rows events.ndjson"
        )
        #expect(packed.code == 0, "\(packed)")
    }

    @Test("is read, appended to, followed and promoted in")
    func opens() throws {
        let kappa = try KappaProgram()
        let unpacked = try kappa.shell("tar xzf '\(Self.archive)'")
        try #require(unpacked.code == 0, "\(unpacked)")
        for view in Self.views {
            let rows = try String(
                contentsOfFile: "\(kappa.folder.path)/rows/\(view).csv", encoding: .utf8)
            #expect(try Self.rows(kappa, view) == rows, "\(view)")
        }
        let info = try kappa.run("log", "info", "--format", "json").records.first
        #expect(info?["first_offset"] as? Int == 100 && info?["next_offset"] as? Int == 352)
        #expect(info?["erased"] as? Int == 2 && info?["partitions"] as? Int == 2)
        let verified = try kappa.run("log", "verify", "--format", "json")
        #expect(verified.records.first?["ok"] as? Bool == true, "\(verified)")
        let read = try kappa.run("log", "read", "--from", "300", "--format", "json").output
        #expect(read.contains(#""tick":"2024-01-15T16:00:00Z","partition":"edge/1""#))
        let again = try kappa.run("append", "--source", "shop", "events.ndjson")
        #expect(again.code == 0 && again.output.contains("skipped 300"), "\(again)")
        let followed = try kappa.shell(
            """
            kappa generate user-events --count 20 --seed 9 | kappa append --source more
            kappa run --until-caught-up 2> /dev/null
            kappa rebuild user_totals; kappa status --format json
            """)
        #expect(followed.errors.contains("the log was trimmed"), "\(followed)")
        #expect(followed.output.contains(#""position":372"#), "\(followed)")
        #expect(try kappa.run("verify", "user_totals@2").code == 66)
    }
}
