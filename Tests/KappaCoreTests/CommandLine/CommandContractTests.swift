import Testing

@testable import KappaCore

/// The interface that scripts rely on: keys, formats and exit codes of each command.
@Suite("The command line as a contract")
struct CommandContractTests {
    private let kappa: KappaProgram
    init() throws { kappa = try KappaProgram() }

    private static let statusKeys = [
        "view", "version", "state", "live", "digest", "position", "log_end", "lag", "applied",
        "late", "dead", "rows", "bytes", "events_per_second", "eta_seconds", "state_rows",
        "state_bytes", "reason",
    ]

    private func build() throws {
        try kappa.generate(2_000)
        let built = try kappa.run("rebuild", "user_totals", "action_counts")
        #expect(built.code == 0, "\(built)")
    }

    private func json(_ arguments: String...) throws -> KappaProgram.Finished {
        let finished = try kappa.start(arguments + ["--format", "json"]).wait()
        #expect(finished.code == 0, "\(arguments): \(finished)")
        return finished
    }

    @Test("append reports what it appended, and a second import of a source appends nothing")
    func append() throws {
        let lines = "{\"a\":1}\n{\"a\":2}\n"
        let first = try kappa.run("append", "--source", "s", "--format", "json", input: lines)
        #expect(
            first.output == #"{"appended":2,"first_offset":0,"next_offset":2,"skipped":0}"# + "\n")
        let second = try kappa.run("append", "--source", "s", "--format", "json", input: lines)
        #expect(
            second.output == #"{"appended":0,"first_offset":null,"next_offset":2,"skipped":2}"#
                + "\n")
        let csv = try kappa.run("append", "--format", "csv", "-", input: "{}")
        #expect(csv.output == "appended,first_offset,next_offset,skipped\n1,2,3,0\n")
        let text = try kappa.run("append", input: "")
        #expect(text.output == "appended 0 events; the log ends at offset 3\n")
        for finished in [first, second, csv, text] {
            #expect(finished.code == 0)
            #expect(finished.errors == "")
        }
    }

    @Test("log info, read, verify and seal have their keys")
    func log() throws {
        try kappa.run("append", input: "{\"a\":1.50}\n{\"b\":\"x\"}\n{\"c\":null}\n")
        let info = try json("log", "info")
        #expect(
            info.keys == [
                "first_offset", "next_offset", "events", "bytes", "segments", "partitions",
                "erased",
            ])
        #expect(info.output.hasPrefix(#"{"first_offset":0,"next_offset":3,"events":3,"#))
        let read = try json("log", "read", "--from", "1", "--limit", "1")
        #expect(read.keys == ["offset", "ingested_at", "event", "tick", "partition"])
        #expect(read.lines.count == 1)
        #expect(read.output.hasSuffix(#""event":{"b":"x"},"tick":null,"partition":null}"# + "\n"))
        let text = try kappa.run("log", "read")
        #expect(text.output == "{\"a\":1.50}\n{\"b\":\"x\"}\n{\"c\":null}\n")
        let verify = try json("log", "verify")
        #expect(verify.output.hasPrefix(#"{"ok":true,"blocks":1,"events":3,"#))
        #expect(verify.keys.last == "damage")
        #expect(try json("log", "seal", "--zstd").keys.first == "segments")
        #expect(try kappa.run("log", "read").output == text.output)
    }

    @Test("views and plan show what there is and what would be done")
    func viewsAndPlan() throws {
        #expect(try json("views").keys == ["view", "digest", "events", "tables", "error"])
        #expect(try json("views").lines.count == 7)
        try kappa.generate(2_000)
        let plan = try json("plan")
        for key in ["view", "action", "seconds", "rows", "bytes"] {
            #expect(plan.keys.contains(key))
        }
        #expect(plan.lines.allSatisfy { $0.contains(#""action":"build""#) })
        try kappa.run("rebuild", "user_totals")
        try kappa.run("rebuild", "action_counts", "--no-promote")
        let after = try json("plan").lines
        #expect(after.contains { $0.contains(#""view":"user_totals","action":"keep""#) })
        #expect(after.contains { $0.contains(#""view":"action_counts","action":"resume""#) })
        #expect(!Folder.names(in: kappa.data.path).contains { $0.hasPrefix("scratch") })
    }

    @Test("rebuild, run and status print status objects")
    func status() throws {
        try kappa.generate(2_000)
        let built = try json("rebuild", "--all")
        #expect(built.keys == Self.statusKeys)
        #expect(built.lines.count == 7)
        #expect(built.lines.allSatisfy { $0.contains(#""state":"live","live":true"#) })
        let run = try json("run", "--until-caught-up")
        #expect(run.keys == Self.statusKeys)
        let status = try json("status", "user_totals")
        #expect(status.keys == Self.statusKeys)
        let record = try #require(status.records.first)
        #expect(record["position"] as? Int == 2_000)
        #expect(record["log_end"] as? Int == 2_000)
        #expect(record["lag"] as? Int == 0)
        #expect(record["applied"] as? Int == 2_000)
        #expect(record["rows"] as? Int == 50)
        #expect(record["eta_seconds"] as? Int == 0)
        #expect(record["state_rows"] as? Int == 0)
        let csv = try kappa.run("status", "--format", "csv")
        #expect(csv.lines.first == Self.statusKeys.joined(separator: ","))
        #expect(csv.lines.count == 8)
    }

    @Test("query gives the row's columns, in key order unless told otherwise")
    func query() throws {
        try build()
        let row = try json("query", "user_totals", "--key", "user_7")
        #expect(row.keys == ["user_id", "events", "revenue", "last_seen", "last_action"])
        #expect(row.lines.count == 1)
        #expect(row.output.hasPrefix(#"{"user_id":"user_7","events":"#))
        let keys = try kappa.run("query", "user_totals", "--format", "csv").lines.dropFirst()
            .compactMap { $0.split(separator: ",").first.map(String.init) }
        #expect(keys.count == 50)
        #expect(keys == keys.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) })
        let ordered = try kappa.run(
            "query", "user_totals@1", "--order", "events desc, user_id", "--limit", "3", "--where",
            "events > 1", "--table", "user_totals", "--format", "csv")
        #expect(ordered.code == 0)
        #expect(ordered.lines.count == 4)
        let windows = try json("query", "action_counts", "--limit", "1")
        #expect(windows.keys.contains("window_start") && windows.keys.contains("window_end"))
        #expect(windows.output.contains(#"Z","#))
        #expect(!windows.output.contains(".000"))
        #expect(try json("query", "user_totals", "--key", "nobody").output == "")
    }

    @Test("sql gives the statement's columns over live views")
    func sql() throws {
        try build()
        let sum = try json(
            "sql", "SELECT count(*) AS users, sum(events) AS events FROM user_totals")
        #expect(sum.output == #"{"users":50,"events":2000}"# + "\n")
        let joined = try json(
            "sql",
            "SELECT (SELECT count(*) FROM user_totals) AS u, count(*) AS w FROM action_counts")
        #expect(joined.keys == ["u", "w"])
        for bad in ["DELETE FROM user_totals", "SELECT * FROM sqlite_master", "SELEC", ""] {
            #expect(try kappa.run("sql", bad).code == 64, "\(bad)")
        }
    }

    @Test("diff prints rows and a summary, and exits with 1 if there are differences")
    func diff() throws {
        try build()
        let same = try kappa.run("rebuild", "user_totals", "--no-promote")
        #expect(same.code == 0)
        let equal = try kappa.run("diff", "user_totals@1", "user_totals@2", "--format", "json")
        #expect(equal.code == 0)
        #expect(
            equal.output
                == #"{"summary":{"added":0,"removed":0,"changed":0,"same":50,"position":2000}}"#
                + "\n")
        let path = kappa.data.file(VersionID("user_totals", VersionNumber(2)))
        try SQLiteConnection(path, .readWrite).execute(
            """
            UPDATE user_totals SET events = events + 1 WHERE user_id = 'user_1';
            DELETE FROM user_totals WHERE user_id = 'user_2';
            INSERT INTO user_totals (user_id, events) VALUES ('zoe', 1)
            """)
        let json = try kappa.run("diff", "user_totals@1", "user_totals@2", "--format", "json")
        #expect(json.code == 1)
        #expect(json.keys == ["op", "table", "key", "columns", "before", "after"])
        #expect(json.lines.count == 4)
        #expect(json.lines[0].contains(#""op":"changed","table":"user_totals","key":["user_1"],"#))
        #expect(json.lines[0].contains(#""columns":["events"],"before":{"user_id":"user_1""#))
        #expect(
            json.lines[1].contains(#""op":"removed""#) && json.lines[1].hasSuffix(#""after":null}"#)
        )
        #expect(
            json.lines[2].contains(#""op":"added""#) && json.lines[2].contains(#""before":null"#))
        #expect(
            json.lines[3].hasPrefix(
                #"{"summary":{"added":1,"removed":1,"changed":1,"same":48,"position":2000,"#
                    + #""columns":[{"table":"user_totals","column":"events","rows":1,"#
                    + #""largest_difference":1,"relative_difference":0."#))
        let limited = try kappa.run(
            "diff", "user_totals@1", "user_totals@2", "--limit", "1", "--format", "json")
        #expect(limited.lines.count == 2)
        let summary = try kappa.run("diff", "user_totals@1", "user_totals@2", "--summary")
        #expect(
            summary.lines.first
                == "user_totals@1 → user_totals@2 at offset 2000: "
                + "1 added, 1 removed, 1 changed, 48 same")
        #expect(summary.lines.last?.hasPrefix("events     1                   1  ") == true)
        let csv = try kappa.run("diff", "user_totals@1", "user_totals@2", "--format", "csv")
        #expect(csv.code == 1)
        #expect(csv.lines[0] == "op,table,key,columns,before,after")
        #expect(csv.lines.count == 4)
        #expect(csv.errors.contains("1 added, 1 removed, 1 changed, 48 same"))
        #expect(try kappa.run("diff", "user_totals@1", "action_counts@1").code == 64)
        #expect(try kappa.run("diff", "user_totals@1", "user_totals@9").code == 66)
    }

    @Test("promote and rollback report the switch; abort and gc drop versions")
    func versions() throws {
        try build()
        try kappa.run("rebuild", "user_totals", "action_counts", "--no-promote")
        let promoted = try json("promote", "user_totals", "action_counts@2")
        #expect(
            promoted.lines == [
                #"{"view":"user_totals","from":1,"to":2,"position":2000}"#,
                #"{"view":"action_counts","from":1,"to":2,"position":2000}"#,
            ])
        let back = try json("rollback", "user_totals")
        #expect(
            back.output
                == #"{"view":"user_totals","from":2,"to":1,"position":2000,"lag":0}"# + "\n")
        #expect(try kappa.run("abort", "user_totals@1").code == 64)
        #expect(try kappa.run("abort", "user_totals").code == 64)
        #expect(try kappa.run("abort", "user_totals@2").code == 0)
        #expect(try kappa.run("abort", "user_totals@2").code == 66)
        let gone = try json("gc", "--keep", "0")
        #expect(gone.lines.count == 1)
        #expect(gone.output.hasPrefix(#"{"view":"action_counts","version":1,"#))
        #expect(try kappa.run("rollback", "action_counts").code == 66)
        #expect(try kappa.run("promote", "user_totals", "user_totals@1").code == 64)
    }

    @Test("a version being built is brought to the log's end before it is promoted")
    func promoteBuilding() throws {
        try kappa.generate(2_000)
        try kappa.run("rebuild", "user_totals", "--until", "500")
        let promoted = try json("promote", "user_totals")
        #expect(
            promoted.output == #"{"view":"user_totals","from":null,"to":1,"position":2000}"# + "\n")
    }

    @Test("dead letters have offset, reason and event")
    func dead() throws {
        try kappa.run("append", input: #"{"user_id":7,"action":[],"amount":"x","timestamp":"?"}"#)
        let rebuilt = try kappa.run("rebuild", "user_totals")
        #expect(
            rebuilt.errors.contains("user_totals@1: event 0 is a dead letter: "), "\(rebuilt)")
        #expect(rebuilt.errors.contains("; `kappa dead user_totals@1` lists all of them\n"))
        let dead = try json("dead", "user_totals")
        #expect(dead.keys == ["offset", "reason", "event"])
        #expect(
            dead.output.hasSuffix(
                #""event":{"user_id":7,"action":[],"amount":"x","timestamp":"?"}}"# + "\n"))
        #expect(
            try kappa.run("dead", "user_totals", "--limit", "0").lines == ["offset  reason  event"])
    }

    @Test("tail prints the current rows, then changes as they commit, until it is stopped")
    func tail() throws {
        try build()
        let tail = try kappa.start(["tail", "user_totals", "--format", "json"])
        try waitFor("the rows are there") { tail.output.split(separator: "\n").count == 50 }
        try kappa.run(
            "append",
            input:
                #"{"user_id":"new","action":"view","amount":0.10,"timestamp":"2024-01-15T14:30:00Z"}"#
        )
        try kappa.run("run", "--until-caught-up")
        try waitFor("the change is there") { tail.output.contains(#"["new"]"#) }
        tail.signal(2)
        let ended = try tail.wait()
        #expect(ended.code == 0)
        #expect(ended.keys == ["offset", "op", "table", "key", "before", "after", "id"])
        #expect(
            ended.lines.last?.replacing(#/"1:\d+"/#, with: "an id")
                == #"{"offset":2001,"op":"insert","table":"user_totals","key":["new"],"before":null,"#
                + #""after":{"user_id":"new","events":1,"revenue":0.1,"#
                + #""last_seen":"2024-01-15T14:30:00Z","last_action":"view"},"id":an id}"#)
    }

    @Test("tail prints a promotion, with both versions, and then the difference")
    func tailPromotion() throws {
        try build()
        let tail = try kappa.start(["tail", "user_totals", "--format", "json", "--from-now"])
        try kappa.run("rebuild", "user_totals", "--no-promote")
        try SQLiteConnection(
            kappa.data.file(VersionID("user_totals", VersionNumber(2))), .readWrite
        ).execute("DELETE FROM user_totals WHERE user_id = 'user_1'")
        // It may not have started when the first promotion happens.
        try waitFor("the promotion is told") {
            try kappa.run("promote", "user_totals@2")
            try kappa.run("rollback", "user_totals")
            return tail.output.contains(#""op":"delete""#)
        }
        tail.signal(2)
        let lines = try tail.wait().lines
        let told = try #require(
            lines.firstIndex {
                $0.hasPrefix(#"{"offset":2000,"op":"promoted","from":1,"to":2,"id":"1:"#)
            })
        #expect(
            lines[told + 1].hasPrefix(
                #"{"offset":2000,"op":"delete","table":"user_totals","key":["user_1"],"before":{"#))
    }

    @Test("the same seed gives the same bytes, another seed others")
    func generate() throws {
        func bytes(_ arguments: String...) throws -> String {
            let finished = try kappa.start(["generate", "user-events"] + arguments).wait()
            #expect(finished.code == 0)
            return finished.output
        }
        let one = try bytes("--count", "5000", "--seed", "7", "--disorder", "30")
        #expect(try bytes("--count", "5000", "--seed", "7", "--disorder", "30") == one)
        #expect(try bytes("--count", "5000", "--seed", "8", "--disorder", "30") != one)
        #expect(one.split(separator: "\n").count == 5_000)
        #expect(try bytes("--count", "3").hasPrefix(#"{"event_id":0,"user_id":"user_"#))
        #expect(try bytes("--count", "0") == "")
        // Paced output is the same, only slower.
        #expect(try bytes("--count", "20", "--rate", "2000") == bytes("--count", "20"))
    }
}
