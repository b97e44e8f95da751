import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// `kappa pull`, as a program that is killed, stopped and used wrongly.
@Suite("Pulling by the program") struct PullProgramTests {
    private let kappa: KappaProgram

    init() throws { kappa = try KappaProgram() }

    private func path(_ name: String) -> String { kappa.folder.path + "/" + name }

    private func append(_ text: String, to name: String) {
        let file = open(path(name), O_WRONLY | O_CREAT | O_APPEND, 0o644)
        defer { close(file) }
        _ = write(file, text, text.utf8.count)
    }

    private func events() -> Int {
        (try? LogReader(kappa.data.log).durableEnd()).map { Int($0.rawValue) } ?? 0
    }

    @Test("a file that grows and rotates, pulled by processes that are killed: each line once")
    func killed() throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        let comment: Comment = "KAPPA_SEED=\(seed)"
        var written: [String] = []
        var rest = ""
        func writeLines() {
            append(rest, to: "app.log")
            rest = ""
            for _ in 0..<Int.random(in: 0...60, using: &random) {
                let size = Int.random(in: 0..<20, using: &random) == 0 ? 9_000 : 20
                let text = String(repeating: "x", count: size)
                let line = #"{"n":\#(written.count),"text":"\#(text)"}"#
                written.append(line)
                append(line + "\n", to: "app.log")
            }
            // Half a line, and the rest of it later.
            guard Int.random(in: 0..<3, using: &random) == 0 else { return }
            let line = #"{"n":\#(written.count),"half":true}"#
            written.append(line)
            let half = line.index(line.startIndex, offsetBy: 9)
            append(String(line[..<half]), to: "app.log")
            rest = line[half...] + "\n"
        }
        var files = 0
        func rotate() throws {
            append(rest, to: "app.log")
            rest = ""
            for number in (0...files).reversed() where number > 0 {
                rename(path("app.log.\(number)"), path("app.log.\(number + 1)"))
            }
            files += 1
            if Bool.random(using: &random) {
                rename(path("app.log"), path("app.log.1"))
                if Bool.random(using: &random) { append("", to: "app.log") }
            } else {
                let copied = try kappa.shell("cp app.log app.log.1")
                #expect(copied.code == 0)
                truncate(path("app.log"), 0)
            }
        }
        // A first pull begins with the file, not with older ones.
        written.append(#"{"n":0}"#)
        append(written[0] + "\n", to: "app.log")
        let words = ["pull", "app.log", "--follow", "--batch", "13"]
        var child = try kappa.start(words)
        defer { child.signal(SIGKILL) }
        try waitFor("it has begun") { events() > 0 }
        for _ in 0..<40 {
            writeLines()
            if Int.random(in: 0..<4, using: &random) == 0 { try rotate() }
            usleep(UInt32.random(in: 0...60_000, using: &random))
            guard Int.random(in: 0..<2, using: &random) == 0 else { continue }
            child.signal(SIGKILL)
            let finished = try child.wait()
            guard finished.code == 128 + SIGKILL else {
                let texts = try LogTesting.texts(kappa.data.log)
                let isSound = zip(texts, written).allSatisfy { $0 == $1 }
                Issue.record("\(finished), the log is right: \(isSound), \(comment)")
                return
            }
            child = try kappa.start(words)
        }
        append(rest + "{}\n", to: "app.log")
        written.append("{}")
        do {
            try waitFor("all is pulled, \(comment)") { events() >= written.count }
        } catch { Issue.record("\(events()) of \(written.count), \(comment): \(child.errors)") }
        child.signal(SIGTERM)
        let stopped = try child.wait()
        #expect(stopped.code == 128 + SIGTERM && stopped.errors.contains("stopped"), comment)
        #expect(try LogTesting.texts(kappa.data.log) == written, comment)
        let last = try kappa.run("pull", "app.log", "--format", "json")
        #expect(last.keys == ["source", "position", "appended", "dead", "lag"], "\(last)")
        #expect(last.records.first?["appended"] as? Int == 0, "\(last), \(comment)")
        #expect(last.records.first?["lag"] as? Int == 0, "\(last), \(comment)")
    }

    @Test("another kappa is followed while it is appended to, into the same views")
    func otherKappa() throws {
        let other = try KappaProgram()
        try other.generate(500)
        let words = ["pull", other.data.path, "--source", "shop/eu"]
        #expect(try kappa.start(words).wait().code == 0)
        let child = try kappa.start(words + ["--follow"])
        try other.generate(300, seed: 2)
        try waitFor("all is pulled") { events() == 800 }
        child.signal(SIGINT)
        #expect(try child.wait().code == 128 + SIGINT)
        #expect(
            try LogTesting.texts(kappa.data.log) == LogTesting.texts(other.data.log))
        // The folder is made anew.
        Folder.remove(other.data.path)
        try other.generate(900, seed: 3)
        let refused = try kappa.start(words).wait()
        #expect(refused.code == 65 && refused.errors.contains("not the log that was pulled"))
        #expect(events() == 800)
    }

    @Test("standard input skips what the log has, and proves it")
    func input() throws {
        let lines = LogTesting.numbered(0..<9).map { $0 + "\n" }
        let first = lines[..<4].joined()
        #expect(try kappa.run("pull", "-", "--source", "in", input: first).code == 0)
        let all = try kappa.run(
            "pull", "-", "--source", "in", "--format", "csv", input: lines.joined())
        #expect(all.lines == ["source,position,appended,dead,lag", "in,9,5,0,0"], "\(all)")
        // The same as an append, which may continue it.
        let appended = try kappa.run("append", "--source", "in", input: lines.joined())
        #expect(appended.output.contains("skipped 9"), "\(appended)")
        let other = try kappa.run("pull", "-", "--source", "in", input: "{}\n")
        #expect(other.code == 65 && other.errors.contains("standard input, line 1"), "\(other)")
        let short = try kappa.run("pull", "-", "--source", "in", input: first)
        #expect(short.code == 65 && short.errors.contains("only a part"), "\(short)")
    }

    @Test("what cannot be pulled is refused with what to do, and nothing is appended")
    func refusals() throws {
        append("{}\n", to: "app.log")
        append("{}\n", to: "a b.log")
        let cases: [(String, Int32, String)] = [
            ("kappa pull missing.log", 66, "--follow"),
            ("kappa pull .", 66, "another kappa's data folder"),
            ("kappa pull 'a b.log'", 64, "--source"),
            ("kappa pull app.log --source 'a b'", 64, "cannot name a source"),
            ("kappa pull - < app.log", 64, "--source NAME"),
            ("kappa pull - --source a <&-", 64, "it is closed"),
            ("kappa pull kafka://broker/topic", 64, "Kappa.main"),
            ("kappa pull", 64, "SOURCE"),
            ("kappa pull app.log --batch 0", 64, "--batch"),
            ("mkdir -p data/log; kappa pull data --source x", 64, "into itself"),
        ]
        for (line, code, text) in cases {
            let finished = try kappa.shell(line)
            #expect(finished.code == code && finished.errors.contains(text), "\(line): \(finished)")
            #expect(events() == 0, "\(line)")
        }
        if geteuid() != 0 {
            let locked = try kappa.shell("chmod 0 app.log; kappa pull app.log")
            #expect(locked.code == 77, "\(locked)")
        }
    }

    @Test("a second pull of the source is told who holds it")
    func held() throws {
        append("{}\n", to: "app.log")
        let child = try kappa.start(["pull", "app.log", "--follow"])
        try waitFor("it pulls") { events() == 1 }
        let second = try kappa.run("pull", "app.log")
        #expect(second.code == 75 && second.errors.contains("\(child.pid)"), "\(second)")
        // Another source is free.
        #expect(try kappa.run("pull", "app.log", "--source", "b").code == 0)
        child.signal(SIGKILL)
        _ = try child.wait()
        #expect(try kappa.run("pull", "app.log").code == 0)
    }

    @Test("with --follow, a file that does not exist is waited for")
    func waits() throws {
        let child = try kappa.start(["pull", "app.log", "--follow", "--format", "json"])
        try waitFor("it waits") { child.errors.contains("waiting for app.log") }
        append("{\"n\":1}\n", to: "app.log")
        try waitFor("it pulls") { events() == 1 }
        child.signal(SIGTERM)
        let finished = try child.wait()
        #expect(finished.records.first?["appended"] as? Int == 1, "\(finished)")
    }

    @Test("events before a line that is not one are kept, and the pull goes on there")
    func badLine() throws {
        append("{\"n\":1}\nno\n{\"n\":3}\n", to: "app.log")
        let finished = try kappa.run("pull", "app.log")
        #expect(finished.code == 65 && finished.errors.contains("app.log, line 2"), "\(finished)")
        #expect(finished.errors.contains("1 event before it was appended"), "\(finished)")
        let corrected = try kappa.shell("sed -i 2d app.log; kappa pull app.log")
        #expect(corrected.code == 0, "\(corrected)")
        #expect(try LogTesting.texts(kappa.data.log) == [#"{"n":1}"#, #"{"n":3}"#])
    }
}
