import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// `kappa tail --from`, as a script uses it: it keeps rows by key, and the id of the last change.
@Suite("kappa tail resumes", .serialized)
struct TailFromTests {
    private let kappa: KappaProgram
    init() throws { kappa = try KappaProgram() }

    private func append(_ users: Range<Int>, _ random: inout SplitMix) throws {
        let lines = users.map { _ in
            let user = Int.random(in: 0..<30, using: &random)
            return #"{"user_id":"u\#(user)","action":"view","amount":1,"#
                + #""timestamp":"2024-01-15T14:30:00Z"}"#
        }
        try #require(
            try kappa.run("append", input: lines.joined(separator: "\n") + "\n").code == 0)
    }

    private struct Consumer {
        var rows: [String: String] = [:]
        var id: String?
        var resets = 0

        mutating func take(_ line: String) throws {
            let change = try JSONValue(parsing: line)
            guard case .object(let members) = change else { throw WaitedTooLong() }
            let cells = Dictionary(members.map { ($0.key, $0.value.json) }) { a, _ in a }
            switch cells["op"] {
            case #""reset""#:
                rows = [:]
                resets += 1
            case #""promoted""#: break
            default:
                let after = cells["after"]
                rows[cells["key"] ?? ""] = after == "null" ? nil : after
            }
            if let stored = cells["id"], stored != "null" {
                id = String(stored.dropFirst().dropLast())
            }
        }
    }

    /// The view's rows as the last column of `tail` from the beginning would print them.
    private func wanted() throws -> [String: String] {
        let live = try #require(try Catalog(kappa.data).live("user_totals"))
        let reader = try kappa.data.reader(VersionID("user_totals", live))
        return try Mirror.rows(reader)["user_totals"] ?? [:]
    }

    @Test("killed with kill -9 beside a killed run, it goes on and ends with the view's rows")
    func kills() throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        try append(0..<200, &random)
        try #require(try kappa.run("rebuild", "user_totals").code == 0)
        var consumer = Consumer()
        for round in 0..<8 {
            let from = consumer.id.map { ["--from", $0] } ?? []
            if consumer.id == nil { consumer.rows = [:] }
            let run = try kappa.start(["run"])
            let tail = try kappa.start(["tail", "user_totals", "--format", "json"] + from)
            for _ in 0..<Int.random(in: 1...3, using: &random) { try append(0..<20, &random) }
            switch round {
            case 3: try kappa.run("rebuild", "user_totals")
            case 5:
                run.signal(SIGKILL)
                _ = try run.wait()
                Folder.remove(kappa.data.path + "/views")
                for suffix in ["", "-wal", "-shm"] { unlink(kappa.data.catalog + suffix) }
                try kappa.run("rebuild", "user_totals")
            default: break
            }
            usleep(UInt32.random(in: 0...300_000, using: &random))
            let isWhole = round == 7
            if isWhole {
                let reader = try #require(try? wanted())
                try waitFor("all is read") {
                    var now = consumer
                    for line in tail.output.split(separator: "\n") { try now.take(String(line)) }
                    return try now.rows == wanted() && reader.count > 0
                }
            }
            tail.signal(SIGKILL)
            if round != 5 {
                run.signal(SIGKILL)
                _ = try run.wait()
            }
            // A line that was cut off is no change yet.
            let output = try tail.wait().output
            for line in output.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
                try consumer.take(String(line))
            }
        }
        #expect(try consumer.rows == wanted(), "KAPPA_SEED=\(seed)")
        #expect(consumer.resets > 0, "KAPPA_SEED=\(seed)")
    }

    @Test("a malformed id, and options that exclude each other, are usage errors")
    func refused() throws {
        var random = SplitMix(state: 1)
        try append(0..<5, &random)
        try #require(try kappa.run("rebuild", "user_totals").code == 0)
        for (words, says) in [
            (["--from", "5"], "\"5\" is not the id of a change"),
            (["--from", "1:2", "--from-now"], "--from and --from-now exclude each other"),
            (["--from", "1:2", "--final-only"], "--from and --final-only exclude each other"),
        ] {
            let finished = try kappa.start(["tail", "user_totals"] + words).wait()
            #expect(finished.code == 64 && finished.errors.contains(says), "\(finished)")
        }
        let tail = try kappa.start(["tail", "user_totals", "--from", "7:7"])
        try waitFor("the rows are there") { tail.output.contains("insert") }
        tail.signal(SIGINT)
        let finished = try tail.wait()
        #expect(finished.code == 0)
        #expect(finished.errors.contains("user_totals cannot be followed from 7:7 any more"))
        #expect(finished.lines.dropFirst().first?.contains("reset") == true, "\(finished)")
    }
}
