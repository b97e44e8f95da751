import Foundation
import Testing

@testable import KappaCore

@Suite("Gates on the command line")
struct PromoteGateTests {
    private let kappa: KappaProgram

    /// user_totals@2 has a different count for one of fifty users, and lacks another user.
    init() throws {
        kappa = try KappaProgram()
        try kappa.generate(2_000)
        try kappa.run("rebuild", "user_totals", "action_counts")
        try kappa.run("rebuild", "user_totals", "action_counts", "--no-promote")
        let path = kappa.data.file(VersionID("user_totals", VersionNumber(2)))
        try SQLiteConnection(path, .readWrite).execute(
            """
            UPDATE user_totals SET events = 1 WHERE user_id = 'user_1';
            DELETE FROM user_totals WHERE user_id = 'user_2'
            """)
    }

    private func live(_ view: String) throws -> Int? {
        try Catalog(kappa.data).live(view)?.rawValue
    }

    @Test("a refusal names the gate, with figures and rows, switches nothing, and exits with 1")
    func refusal() throws {
        let refused = try kappa.run(
            "promote", "action_counts", "user_totals", "--gate", "max-changed=1%", "--gate",
            "max-added=0", "--gate", "max-removed=0", "--format", "json")
        #expect(refused.code == 1)
        #expect(refused.output == "")
        let events = try #require(
            try kappa.run("query", "user_totals@1", "--key", "user_1", "--format", "json").records
                .first?["events"] as? Int)
        let removed = try #require(
            refused.errors.split(separator: "\n").first { $0.hasPrefix("    - user_2  events ") })
        #expect(
            refused.errors == """
                user_totals@2 against user_totals@1 at offset 2000: 0 added, 1 removed, 1 changed, 48 same
                  refuses  max-changed=1%: 1 changed of 50 live rows (2%)
                    ~ user_1  events \(events) → 1
                  passes  max-added=0: 0 added of 50 live rows (0%)
                  refuses  max-removed=0: 1 removed of 50 live rows (2%)
                \(removed)
                kappa: gates refuse user_totals@2; so none is promoted
                  why:   max-changed=1%: 1 changed of 50 live rows (2%); max-removed=0: 1 removed of 50 \
                live rows (2%)
                  next:  Look at `kappa diff user_totals@1 user_totals@2`; `kappa promote --force` \
                passes over the gates

                """)
        #expect(try live("user_totals") == 1)
        #expect(try live("action_counts") == 1)
        let status = try kappa.run("status", "user_totals")
        #expect(status.lines[2].contains("user_totals@2  ready"))
        #expect(
            status.errors.hasPrefix("user_totals@2: not promoted: max-changed=1%: 1 changed of"))
    }

    @Test("versions that pass are promoted in one step, and the history has the figures")
    func passes() throws {
        let sql = kappa.folder.path + "/check.sql"
        try Data("SELECT * FROM new\nWHERE events < 1\n".utf8).write(to: URL(filePath: sql))
        let promoted = try kappa.run(
            "promote", "user_totals", "action_counts", "--gate", "max-changed=50%", "--gate",
            "sql=\(sql)", "--gate", "column:events=20%", "--format", "json")
        #expect(promoted.code == 0, "\(promoted)")
        #expect(
            promoted.lines == [
                #"{"view":"user_totals","from":1,"to":2,"position":2000}"#,
                #"{"view":"action_counts","from":1,"to":2,"position":2000}"#,
            ])
        #expect(
            promoted.errors.contains("passes  sql=SELECT * FROM new WHERE events < 1: it returns"))
        let history = try kappa.run("history", "user_totals", "--format", "json")
        #expect(history.code == 0)
        #expect(
            history.keys == [
                "at", "view", "what", "from", "to", "position", "added", "removed", "changed",
                "same",
                "gates",
            ])
        #expect(history.records.map { $0["what"] as? String } == ["rebuild", "passed", "promote"])
        let figures = history.records[1]
        #expect(figures["removed"] as? Int == 1 && figures["same"] as? Int == 48)
        #expect(
            history.lines[1].contains(
                #"{"gate":"max-changed=50%","passes":true,"figures":"1 changed of 50 live rows (2%)"}"#
            ))
    }

    @Test("gates can be skipped with --force, and the history records it")
    func force() throws {
        let gate = ["promote", "user_totals", "--gate", "max-changed=0"]
        #expect(try kappa.start(gate).wait().code == 1)
        let forced = try kappa.start(gate + ["--force"]).wait()
        #expect(forced.code == 0, "\(forced)")
        #expect(forced.errors.contains("skipped  max-changed=0: passed over by --force"))
        let history = try kappa.run("history", "user_totals", "--format", "csv").lines
        #expect(history.last?.contains(",promote --force,1,2,2000,") == true)
        #expect(history.contains { $0.contains(",forced,1,2,2000,") })
    }

    @Test("an invalid gate exits with 64, and a gate that cannot be checked with 1")
    func wrong() throws {
        for gate in [
            "max-changed", "max-chnged=1%", "max-changed=", "max-changed=-1", "max-changed=1%%",
            "max-changed=nan", "column:=1", "revenue=5%", "",
        ] {
            let ended = try kappa.run("promote", "user_totals", "--gate", gate)
            #expect(ended.code == 64, "\(gate): \(ended)")
        }
        #expect(
            try kappa.run("promote", "user_totals", "--gate", "max-chnged=1%").errors.contains(
                "did you mean max-changed=…?"))
        for gate in ["column:revenu=5%", "column:last_action=5%", "sql=SELECT x FROM new", "sql=x"]
        {
            let ended = try kappa.run("promote", "user_totals", "--gate", gate)
            #expect(ended.code == 1, "\(gate): \(ended)")
            #expect(ended.errors.contains("it cannot be judged, "), "\(gate)")
        }
        #expect(try live("user_totals") == 1)
        #expect(try kappa.run("history", "nosuch").code == 66)
    }
}
