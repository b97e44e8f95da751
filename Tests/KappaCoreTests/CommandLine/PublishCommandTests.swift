import Glibc
import KappaTesting
import Testing

@testable import KappaCore

@Suite("kappa publish")
struct PublishCommandTests {
    private let kappa: KappaProgram
    init() throws { kappa = try KappaProgram() }

    @Test("killed with kill -9 at random, it goes on; in the end both places have the view's rows")
    func kills() throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        try kappa.generate(2_000)
        try #require(try kappa.run("rebuild", "user_totals", "action_counts").code == 0)
        let urls = ["csv:\(kappa.folder.path)/csv", "sqlite:\(kappa.folder.path)/out.db"]
        for round in 0..<6 {
            let children = try urls.map {
                try kappa.start(["publish", "user_totals", "action_counts", "--to", $0])
            }
            try kappa.generate(200, seed: round + 2)
            try kappa.run("run", "--until-caught-up")
            if round == 3 { try kappa.run("rebuild", "user_totals") }
            usleep(UInt32.random(in: 0...200_000, using: &random))
            for child in children {
                child.signal(SIGKILL)
                _ = try child.wait()
            }
        }
        for url in urls {
            let finished = try kappa.run(
                "publish", "user_totals", "action_counts", "--to", url, "--until-caught-up",
                "--format", "json")
            #expect(finished.code == 0, "\(finished)")
            #expect(finished.keys == ["view", "version", "offset", "id"])
            #expect(finished.lines.count == 2)
        }
        for view in ["user_totals", "action_counts"] {
            let live = try #require(try Catalog(kappa.data).live(view))
            let reader = try kappa.data.reader(VersionID(view, live))
            var rows: [[String]] = []
            try reader.forEachRow(table: 0) {
                rows.append(reader.tables[0].values($0).map(\.plainText))
            }
            let csv = try SinkReader.csv(kappa.folder.path + "/csv/" + view, reader.tables)
            let sqlite = try SinkReader.sqlite(kappa.folder.path + "/out.db", reader.tables)
            #expect(Set(csv[view] ?? []) == Set(rows), "\(view), KAPPA_SEED=\(seed)")
            #expect(Set(sqlite[view] ?? []) == Set(rows), "\(view), KAPPA_SEED=\(seed)")
            #expect(csv[view]?.count == rows.count && sqlite[view]?.count == rows.count)
        }
    }

    @Test("a place that cannot be published to, and a view that is not there, are errors")
    func refused() throws {
        try kappa.generate(10)
        for (words, code, says) in [
            (["user_totals"], 64, "publish needs --to"),
            (["user_totals", "--to", "ftp:x"], 64, "it can publish to csv:DIR, sqlite:FILE"),
            (["user_totals", "--to", "csv"], 64, "kappa cannot publish to \"csv\""),
            (["user_totals", "user_totals", "--to", "csv:a"], 64, "is named twice"),
            (["nosuch", "--to", "csv:a"], 66, "there is no view nosuch"),
            (["user_totals", "--to", "csv:a", "--until-caught-up"], 66, "has no live version"),
        ] as [([String], Int32, String)] {
            let finished = try kappa.start(["publish"] + words).wait()
            #expect(finished.code == code && finished.errors.contains(says), "\(finished)")
        }
        try kappa.run("rebuild", "user_totals")
        _ = try kappa.shell("echo no database > text")
        for (url, code, says) in [
            ("csv:", 64, "names no place"), ("sqlite:/nowhere/out.db", 74, "/nowhere/out.db"),
            ("csv:/proc/nowhere", 73, "Check the folder above it"),
            ("sqlite:text", 74, "Name a SQLite file"),
        ] as [(String, Int32, String)] {
            // Without --until-caught-up: such a place is not waited for.
            let finished = try kappa.run("publish", "user_totals", "--to", url)
            #expect(finished.code == code && finished.errors.contains(says), "\(finished)")
            #expect(finished.output == "" && !finished.errors.contains("retrying"), "\(finished)")
        }
    }

    @Test("it follows until it is stopped; a second publisher is told, and takes over")
    func follows() throws {
        try kappa.generate(10)
        let url = "csv:\(kappa.folder.path)/csv"
        let first = try kappa.start(["publish", "user_totals", "--to", url, "--format", "json"])
        try waitFor("it waits for a first version") { first.errors.contains("no live version yet") }
        try kappa.run("rebuild", "user_totals")
        try waitFor("the first rows") { first.output.contains(#""offset":10,"#) }
        try kappa.generate(10, seed: 2)
        try kappa.run("rebuild", "user_totals")
        try waitFor("further rows") { first.output.contains(#""version":2,"offset":20,"#) }
        let second = try kappa.start(["publish", "user_totals", "--to", url])
        try waitFor("the second is told") {
            second.errors.contains("another process publishes user_totals")
        }
        first.signal(SIGINT)
        let ended = try first.wait()
        #expect(ended.code == 0 && ended.lines.count >= 2, "\(ended)")
        try waitFor("the second takes over") { second.output.contains("20") }
        #expect(second.errors.contains("user_totals: published again"))
        let refused = try kappa.run("publish", "user_totals", "--to", url, "--until-caught-up")
        #expect(refused.code == 75 && refused.output == "", "\(refused)")
        second.signal(SIGTERM)
        #expect(try second.wait().code == 0)
    }

    @Test("a closed pipe ends it quietly")
    func closedPipe() throws {
        try kappa.generate(10)
        try kappa.run("rebuild", "user_totals")
        let finished = try kappa.shell(
            "kappa publish user_totals --to sqlite:out.db --format json | head -n 1")
        #expect(finished.code == 0 && finished.lines.count == 1, "\(finished)")
        #expect(!finished.errors.contains("where:"), "\(finished)")
    }
}
