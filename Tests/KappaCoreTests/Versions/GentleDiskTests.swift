import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// What live versions write, and what they do not.
@Suite("Gentle on the disk")
struct GentleDiskTests {
    private struct Note: Event {
        var k: Int
        var text: String
        static let eventType: String? = "note"
    }
    private struct Other: Event {
        var k: Int
        static let eventType: String? = "other"
    }

    private static let notes = View("notes", digest: "1") {
        Events(Note.self).grouped(by: \.k).aggregate(.last(\.text).as("text"))
    }
    private static let others = View("others", digest: "1") {
        Events(Other.self).grouped(by: \.k).aggregate(.count().as("n"))
    }

    private func appendOthers(_ count: Int, _ folder: VersionsFolder) throws {
        try folder.append((0..<count).map { #"{"event_type":"other","k":\#($0 % 7)}"# })
    }
    private func appendNotes(_ count: Int, _ folder: VersionsFolder, bytes: Int = 10) throws {
        let text = String(repeating: "x", count: bytes)
        try folder.append(
            (0..<count).map { #"{"event_type":"note","k":\#($0),"text":"\#(text)"}"# })
    }

    private func id(_ view: String) -> VersionID { VersionID(view, VersionNumber(1)) }
    private func status(_ view: String, _ folder: VersionsFolder) throws -> VersionStatus? {
        try VersionStatus.all(folder.catalog(), view: view).first
    }
    private func wait(
        _ build: RunningBuild, _ view: String, for end: Int, _ folder: VersionsFolder
    ) throws {
        try build.until("\(view) is at \(end)") {
            try status(view, folder)?.position == Offset(UInt64(end))
        }
    }
    private func size(_ path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }
    private func logBytes(_ view: String, _ folder: VersionsFolder) -> Int {
        size(folder.data.file(id(view)) + "-wal")
    }

    @Test("a version that took nothing writes nothing, and its position is known even so")
    func tookNothing() throws {
        let folder = try VersionsFolder()
        try appendNotes(3, folder)
        let build = try RunningBuild(folder.data, [Self.notes, Self.others])
        for view in ["notes", "others"] {
            try build.until("\(view) is live") { try folder.catalog().live(view) != nil }
            try wait(build, view, for: 3, folder)
        }
        // What follows a promotion is written before the count begins.
        try appendNotes(1, folder)
        for view in ["notes", "others"] { try wait(build, view, for: 4, folder) }
        let reader = try folder.reader("notes", 1)
        let before = try (reader.changeCounter(), reader.checkpoint())
        for round in 1...50 {
            try appendOthers(4, folder)
            for view in ["notes", "others"] { try wait(build, view, for: 4 + 4 * round, folder) }
        }
        #expect(try reader.changeCounter() == before.0)
        #expect(try reader.checkpoint() == before.1)
        let lagging = try #require(try status("notes", folder))
        #expect(lagging.lag == 0 && lagging.position == Offset(204))
        #expect(lagging.counters.filtered == before.1.counters.filtered + 200)
        #expect(try folder.reader("others", 1).checkpoint().offset == Offset(204))

        // With the next event that it takes, and at the end, it is written.
        try appendNotes(1, folder)
        try build.until("the row is there") { try reader.checkpoint().offset == Offset(205) }
        try appendOthers(5, folder)
        try wait(build, "notes", for: 210, folder)
        try build.stop()
        let whole = try reader.checkpoint()
        #expect(whole.offset == Offset(210))
        #expect(try whole.digest == LogReader(folder.data.log).digest(at: Offset(210)))
        #expect(whole.counters.applied == 5 && whole.counters.filtered == 205)
    }

    @Test("a new version is promoted beside a live one that took nothing")
    func rival() throws {
        let folder = try VersionsFolder()
        try appendNotes(3, folder)
        let build = try RunningBuild(folder.data, [Self.notes, Self.others])
        try build.until("it is live") { try folder.catalog().live("notes") != nil }
        for round in 1...5 {
            try appendOthers(4, folder)
            try wait(build, "notes", for: 3 + 4 * round, folder)
        }
        let changed = View("notes", digest: "2") {
            Events(Note.self).grouped(by: \.k).aggregate(.count().as("n"))
        }
        let next = try RunningBuild(folder.data, [changed])
        try next.until("it is live") { try folder.catalog().live("notes") == VersionNumber(2) }
        let change = try #require(try folder.catalog().history(of: "notes").last)
        #expect(change.position == Offset(23))
        try next.stop()
        try build.stop()
    }

    @Test("write-ahead logs stay short, however many commits there are")
    func shortLogs() throws {
        let folder = try VersionsFolder()
        try appendNotes(3, folder)
        let build = try RunningBuild(folder.data, [Self.notes]) { $0.commitMilliseconds = 0 }
        try build.until("it is live") { try folder.catalog().live("notes") != nil }
        var most = 0
        for round in 1...40 {
            try appendNotes(300, folder, bytes: 1_000)
            try wait(build, "notes", for: 3 + 300 * round, folder)
            most = max(most, logBytes("notes", folder))
        }
        // A log of 4 MB is moved into the file after the commit that made it so long.
        #expect(most < 8 << 20, "\(most)")
        #expect(most > 100_000)
        try build.stop()
    }

    @Test("a reader that pins a log slows its commits down, and they come at once when it is gone")
    func pinned() throws {
        let folder = try VersionsFolder()
        try appendNotes(3, folder)
        let build = try RunningBuild(folder.data, [Self.notes]) {
            $0.commitMilliseconds = 0
            $0.mostLogBytes = 8 << 20
        }
        try build.until("it is live") { try folder.catalog().live("notes") != nil }
        try wait(build, "notes", for: 3, folder)
        var reader: VersionReader? = try folder.reader("notes", 1)
        try reader?.hold()
        _ = try reader?.rowCount(table: 0)
        var appended = 3
        let start = ContinuousClock.now
        while logBytes("notes", folder) < 9 << 20, ContinuousClock.now - start < .seconds(60) {
            try appendNotes(600, folder, bytes: 1_000)
            appended += 600
            // Slow enough that the view keeps up on a busy machine.
            usleep(100_000)
        }
        // From 8 MB on, a commit comes every second; each has less than a megabyte.
        let before = logBytes("notes", folder)
        #expect(before >= 9 << 20)
        for _ in 0..<20 {
            try appendNotes(600, folder, bytes: 1_000)
            appended += 600
            Pause.forALook()
        }
        #expect(logBytes("notes", folder) < before + 4 << 20)
        try build.until("it warns") { build.said.contains { $0.hasPrefix("log of notes@1 grows") } }
        reader?.release()
        reader = nil
        try wait(build, "notes", for: appended, folder)
        try appendNotes(1, folder)
        try wait(build, "notes", for: appended + 1, folder)
        #expect(logBytes("notes", folder) < 8 << 20)
        try build.stop()
    }

    @Test("commits wait longer the longer a pinned log is")
    func pauses() {
        let pauses = (0...100).map { PinnedLog.pauseMilliseconds($0 << 20) }
        #expect(pauses == pauses.sorted())
        #expect(pauses[0] == 0 && pauses[7] == 0 && pauses[100] == 60_000)
    }

    @Test("a killed run loses nothing of a version whose file lagged")
    func killed() throws {
        let kappa = try KappaProgram()
        try kappa.generate(200)
        #expect(try kappa.run("run", "--until-caught-up").code == 0)
        let running = try kappa.start(["run"])
        defer { running.signal(SIGKILL) }
        func status(_ view: String) throws -> VersionStatus? {
            try VersionStatus.all(Catalog(kappa.data), view: view).first
        }
        // The views of git histories take none of these events.
        for round in 1...3 {
            try kappa.generate(50, seed: 1 + round)
            let end = Offset(UInt64(200 + 50 * round))
            for view in ["file_churn", "user_totals"] {
                try waitFor("\(view) is at \(end)") { try status(view)?.position == end }
            }
        }
        let rows = try kappa.run("query", "user_totals", "--format", "csv").output
        running.signal(SIGKILL)
        _ = try running.wait()
        #expect(try kappa.run("query", "user_totals", "--format", "csv").output == rows)
        #expect(try kappa.run("run", "--until-caught-up").code == 0)
        for view in ["file_churn", "user_totals"] {
            let whole = try #require(try status(view))
            #expect(whole.lag == 0)
            let counters = whole.counters
            #expect(counters.applied + counters.filtered + counters.late + counters.dead == 350)
        }
        #expect(try kappa.run("verify", "file_churn").code == 0)
    }
}
