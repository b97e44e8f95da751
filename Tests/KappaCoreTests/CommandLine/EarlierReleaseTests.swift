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
