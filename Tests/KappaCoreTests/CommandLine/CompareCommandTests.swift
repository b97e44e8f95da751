import Foundation
import Testing

@testable import KappaCore

/// `diff` and `why` as scripts and people use them.
@Suite("Comparing on the command line")
struct CompareCommandTests {
    private let kappa: KappaProgram
    init() throws { kappa = try KappaProgram() }

    private func build(_ views: String...) throws {
        try kappa.generate(1_500, users: 20)
        let built = try kappa.start(["rebuild"] + views).wait()
        #expect(built.code == 0, "\(built)")
    }

    private func file(_ view: String, _ number: Int) -> String {
        kappa.data.file(VersionID(view, VersionNumber(number)))
    }

    /// Turns a version into one of another build.
    private func makeForeign(_ view: String) throws {
        for path in [file(view, 1), kappa.data.catalog] {
            let table = path == kappa.data.catalog ? "versions" : "_kappa_version"
            try SQLiteConnection(path, .readWrite).execute("UPDATE \(table) SET digest = 'other'")
        }
    }

    @Test(
        "diff against a definition that is not built yet builds it in a scratch folder and drops it"
    )
    func definition() throws {
        try build("user_totals")
        try makeForeign("user_totals")
        try SQLiteConnection(file("user_totals", 1), .readWrite).execute(
            "UPDATE user_totals SET events = events + 2 WHERE user_id = 'user_1'")
        let text = try kappa.run("diff", "user_totals@1", "user_totals")
        #expect(text.code == 1, "\(text)")
        #expect(
            text.lines[1...3] == [
                "user_totals@1: as it stands",
                "user_totals (this build): built aside from offset 0",
                "user_totals@1 → user_totals (this build) at offset 1500: "
                    + "0 added, 0 removed, 1 changed, 19 same",
            ])
        let json = try kappa.run("diff", "user_totals@1", "user_totals", "--format", "json")
        #expect(
            json.lines.last?.contains(
                #""old":{"of":"user_totals@1","made":"as it stands"},"#
                    + #""new":{"of":"user_totals (this build)","#) == true)
        #expect(try kappa.run("status", "--format", "json").lines.count == 1)
        #expect(!Folder.names(in: kappa.data.path).contains { $0.hasPrefix("scratch") })
    }

    @Test("diff narrows what it compares, and counts columns in every format")
    func narrowed() throws {
        try build("user_totals")
        try kappa.run("rebuild", "user_totals", "--no-promote")
        try SQLiteConnection(file("user_totals", 2), .readWrite).execute(
            "UPDATE user_totals SET events = events + 5 WHERE user_id IN ('user_1', 'user_2')")
        func diff(_ options: String...) throws -> KappaProgram.Finished {
            try kappa.start(["diff", "user_totals@1", "user_totals@2"] + options).wait()
        }
        #expect(try diff("--ignore", "events").code == 0)
        #expect(try diff("--key", "user_1").lines.count == 4)
        #expect(try diff("--where", "user_id = 'user_2'", "--format", "json").lines.count == 2)
        #expect(try diff("--limit", "1").lines[1] == "… 1 more")
        let csv = try diff("--summary", "--format", "csv")
        #expect(
            csv.lines[0...4] == [
                "what,table,column,rows,largest_difference,relative_difference", "added,,,0,,",
                "removed,,,0,,", "changed,,,2,,", "same,,,18,,",
            ])
        #expect(csv.lines[5].hasPrefix("column,user_totals,events,2,5,"))
        // As of an older offset both are equal.
        let older = try diff("--at", "700")
        #expect(older.code == 0)
        #expect(older.lines.last?.contains("at offset 700: 0 added") == true)
        for (options, code) in [
            (["--ignore", "nix"], Int32(64)), (["--ignore", "user_id"], 64),
            (["--where", "nix = 1"], 64), (["--key", "[1,2]"], 64), (["--table", "nix"], 66),
            (["--at", "99999"], 66), (["--html", "/nix/page.html"], 73),
        ] {
            let failed = try kappa.start(["diff", "user_totals@1", "user_totals@2"] + options)
                .wait()
            #expect(failed.code == code, "\(options): \(failed)")
            #expect(failed.errors.contains("next:"), "\(failed)")
        }
    }

    @Test("diff --html writes a page, and prints only the summary")
    func page() throws {
        try build("user_totals")
        try kappa.run("rebuild", "user_totals", "--no-promote")
        try SQLiteConnection(file("user_totals", 2), .readWrite).execute(
            "UPDATE user_totals SET last_action = '<script>' WHERE user_id = 'user_1'")
        let page = kappa.folder.path + "/page.html"
        let done = try kappa.run("diff", "user_totals@1", "user_totals@2", "--html", page)
        #expect(done.code == 1)
        #expect(done.errors == "kappa: the page is in \(page)\n")
        #expect(done.lines.first?.hasPrefix("user_totals@1 → user_totals@2 at offset") == true)
        let html = try String(contentsOfFile: page, encoding: .utf8)
        #expect(html.contains("<ins>&lt;script&gt;</ins>"))
    }

    @Test("why prints the events of a row, in every format")
    func why() throws {
        try build("user_totals")
        let json = try kappa.run("why", "user_totals", "--key", "\"user_1\"", "--format", "json")
        #expect(json.code == 0, "\(json)")
        #expect(json.keys == ["offset", "event", "rows", "diverges"])
        let row = try kappa.run("query", "user_totals", "--key", "user_1", "--format", "json")
        #expect(json.lines.count == row.records[0]["events"] as? Int)
        let last = try #require(json.lines.last)
        #expect(last.contains(#""rows":{"user_totals@1":\#(row.lines[0])},"diverges":false}"#))
        let text = try kappa.run("why", "user_totals@1", "--key", "user_1", "--limit", "2")
        #expect(text.lines.count == 4)
        #expect(text.lines[1].hasPrefix("  user_totals@1  user_id user_1, events 1, revenue "))
        #expect(text.errors.hasPrefix("kappa: 2 shown; there may be more events below"))
        let csv = try kappa.run(
            "why", "user_totals", "--key", "user_1", "--limit", "1", "--format", "csv")
        #expect(csv.lines[0] == "offset,event,user_totals@1,diverges")
        let both = try kappa.run(
            "why", "user_totals", "--key", "user_1", "--versions", "1,build", "--format", "json",
            "--at", "400")
        #expect(both.code == 0, "\(both)")
        #expect(both.lines[0].contains(#""user_totals (this build)":{"user_id":"user_1""#))
        #expect(both.errors.contains("do not diverge"))
        let none = try kappa.run("why", "user_totals", "--key", "user_1", "--limit", "0")
        #expect(none.errors.contains("0 shown; there may be more events"), "\(none)")
        let nobody = try kappa.run("why", "user_totals", "--key", "nobody")
        #expect(nobody.code == 0 && nobody.output == "")
        #expect(nobody.errors == "kappa: no event below offset 1500 touched the row\n")
    }

    @Test("why refuses what it cannot replay or does not understand")
    func whyRefused() throws {
        try build("user_totals")
        for (options, code) in [
            ([], Int32(64)), (["--key", "a", "--versions", "1"], 64),
            (["--key", "a", "--versions", "1,x"], 64), (["--key", "a", "--versions", "1,1"], 64),
            (["--key", "a", "--versions", "1,2"], 66), (["--key", "[1,2]"], 64),
            (["--key", "[1,"], 64), (["--key", "{\"user_id\""], 64), (["--key", "\"a"], 64),
            (["--key", "a", "--table", "nix"], 66), (["--key", "a", "--at", "99999"], 66),
        ] {
            let failed = try kappa.start(["why", "user_totals"] + options).wait()
            #expect(failed.code == code, "\(options): \(failed)")
        }
        #expect(try kappa.run("why", "nix", "--key", "a").code == 66)
        try makeForeign("user_totals")
        let foreign = try kappa.run("why", "user_totals", "--key", "user_1")
        #expect(foreign.code == 66)
        #expect(foreign.errors.contains("user_totals@1 cannot be replayed"))
        #expect(foreign.errors.contains("digest other"))
        #expect(foreign.errors.contains("Use the build that made it"))
        // 1 would mean that they differ.
        let diff = try kappa.run("diff", "user_totals@1", "user_totals@1", "--at", "5")
        #expect(diff.code == 66, "\(diff)")
    }

    @Test("why shows another build's version beside this build's, with the help of that build")
    func otherBuild() throws {
        try build("user_totals")
        let own = try kappa.run("why", "user_totals", "--key", "user_1", "--format", "json")
        // The other build has not seen the third event.
        let lines = own.lines.enumerated().filter { $0.offset != 2 }.map(\.element)
        let folder = kappa.folder.path
        try lines.map { $0 + "\n" }.joined().write(
            toFile: folder + "/lines", atomically: true, encoding: .utf8)
        func program(_ script: String) throws -> String {
            let path = folder + "/other"
            try "#!/bin/sh\n\(script)\n".write(toFile: path, atomically: true, encoding: .utf8)
            chmod(path, 0o755)
            return path
        }
        try makeForeign("user_totals")
        func why(_ script: String, _ more: String...) throws -> KappaProgram.Finished {
            let words = [
                "why", "user_totals", "--versions", "1,build", "--key", "user_1", "--format",
                "json", "--with", try program(script),
            ]
            // A process that another test starts at that moment has the script open for a while.
            while true {
                let finished = try kappa.start(words + more).wait()
                if !finished.errors.contains("Text file busy") { return finished }
            }
        }
        let both = try why("echo \"$@\" > \(folder)/words; cat \(folder)/lines")
        #expect(both.code == 0, "\(both)")
        #expect(both.lines.count == own.lines.count)
        let parted = both.records.map { $0["diverges"] as? Bool }
        #expect(parted.firstIndex(of: true) == 2 && parted.count { $0 == true } == 1)
        let offsets = both.records.map { $0["offset"] as? Int }
        #expect(offsets == own.records.map { $0["offset"] as? Int })
        #expect(
            both.lines[0].contains(#""rows":{"user_totals@1":{"user_id":"user_1","events":1,"#))
        #expect(
            try String(contentsOfFile: folder + "/words", encoding: .utf8).hasPrefix(
                "why user_totals@1 --key user_1 --at 1500 --format json --data "))
        // An event that only the other build has taken is read from the log.
        let reversed = try why("sed 's/\"offset\":[0-9]*/\"offset\":1/;q' \(folder)/lines")
        #expect(reversed.records.contains { $0["offset"] as? Int == 1 })
        let limited = try why("cat \(folder)/lines", "--limit", "1")
        #expect(limited.lines.count == 2)
        #expect(try why("exit 3").code == 1)
        #expect(try why("echo nonsense").code == 1)
        let nowhere = try kappa.run(
            "why", "user_totals", "--versions", "1,build", "--key", "user_1", "--with", "/nix")
        #expect(nowhere.code == 66, "\(nowhere)")
    }
}
