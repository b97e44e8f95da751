import KappaTesting
import Testing

@testable import KappaCore

/// Versions over a log whose beginning is trimmed.
@Suite("Versions and a trimmed log") struct TrimmedLogTests {
    private let folder: VersionsFolder
    init() throws { folder = try VersionsFolder() }

    /// Appends ticks in segments of a few events, and returns the number of events.
    private func append(_ numbers: Range<Int>, keys: Int) throws {
        let writer = try LogWriter(folder.data.log, segmentBytes: 200)
        for number in numbers {
            let line = Tick.line("k\(number % keys)", number % 100)
            _ = try writer.append(EventLines(event: line))
        }
    }

    private func trim(_ offset: Int) throws -> Int {
        Int(try LogTrim(folder.data).trim(before: Offset(UInt64(offset))).rawValue)
    }

    private func live() throws -> Int? { try folder.catalog().live("tally")?.rawValue }

    /// The rows of a view over the events from an offset on alone.
    private func rows(_ view: any AnyView, from first: Int, to end: Int) throws -> [String] {
        let other = try VersionsFolder()
        let events = try LogTesting.read(folder.data.log).filter { $0.offset.rawValue >= first }
        try other.append(events.prefix(end - first).map(\.text))
        try other.catchUp([view])
        return try other.rows(view.name, 1)
    }

    @Test("a live version keeps its rows; a new one begins at the first offset")
    func begins() throws {
        try append(0..<100, keys: 5)
        try folder.catchUp([tally("a")])
        let before = try folder.rows("tally", 1)
        let first = try trim(60)
        #expect((40...60).contains(first))
        #expect(try folder.rows("tally", 1) == before)
        try append(100..<120, keys: 5)
        try folder.catchUp([tally("a")])
        #expect(try live() == 1)
        #expect(try folder.reader("tally", 1).checkpoint().began == .zero)
        // All keys are in the rest of the log, so no row vanishes.
        try folder.catchUp([tally("b", below: 1_000)])
        #expect(try live() == 2)
        let checkpoint = try folder.reader("tally", 2).checkpoint()
        #expect(checkpoint.began == Offset(UInt64(first)) && checkpoint.offset == Offset(120))
        #expect(try folder.rows("tally", 2) == rows(tally("b"), from: first, to: 120))
        let log = try LogReader(folder.data.log)
        #expect(try checkpoint.digest == log.digest(at: Offset(120)))
        // The log is trimmed once more: the version goes on, and a copy of it is still proven.
        try append(120..<140, keys: 5)
        try folder.catchUp([tally("b", below: 1_000)])
        #expect(try trim(130) > first)
        try append(140..<150, keys: 5)
        try folder.catchUp([tally("b", below: 1_000)])
        #expect(try folder.reader("tally", 2).checkpoint().offset == Offset(150))
    }

    @Test("a version whose rows vanish is held back, unless that is allowed")
    func vanishing() throws {
        try append(0..<60, keys: 30)
        try append(60..<100, keys: 5)
        try folder.catchUp([tally("a")])
        let first = try trim(70)
        try folder.catchUp([tally("b", below: 1_000)])
        #expect(try live() == 1)
        let reason = try #require(try folder.entry("tally", 2)?.reason)
        #expect(
            reason.contains(
                "25 removed of 30 live rows (83.33%); the log was trimmed: tally@2 begins at offset "
                    + "\(first), and tally@1 began at 0"), "\(reason)")
        // A gate of the view's own decides instead.
        let allowing = tally("c", below: 1_000).promote(when: .removedRows(atMost: .percent(90)))
        try folder.catchUp([allowing])
        #expect(try live() == 3)
        // From here on nothing is lacking any more.
        try folder.catchUp([tally("d", below: 1_000)])
        #expect(try live() == 4)
        // Back to the version that began earlier.
        _ = try Promotion(folder.catalog()).rollBack(["tally"])
        #expect(try live() == 3)
    }

    @Test(
        "what a version still needs is not trimmed; a rollback to one that lacks events is refused")
    func needed() throws {
        try append(0..<100, keys: 5)
        try folder.catchUp([tally("a")])
        try folder.catchUp([tally("b")])
        try append(100..<200, keys: 5)
        let error = #expect(throws: KappaError.self) { try trim(150) }
        #expect(error?.code == .refused)
        #expect(
            error?.reason
                == "tally@2, which is live, is at offset 100, and needs the events from there on")
        #expect(try LogReader(folder.data.log).firstOffset == .zero)
        #expect(try trim(90) > 50)
        try folder.catchUp([tally("b")])
        // Version 1 has retired: it needs nothing.
        let first = try trim(150)
        #expect(first > 100)
        let back = #expect(throws: KappaError.self) {
            try Promotion(folder.catalog()).rollBack(["tally"])
        }
        #expect(back?.code == .refused, "\(String(describing: back))")
        #expect(
            back?.reason?.contains("the log was trimmed: it begins at offset \(first)") == true,
            "\(String(describing: back))")
        #expect(try live() == 2)
        let past = #expect(throws: KappaError.self) { try trim(500) }
        #expect(past?.code == .notFound)
    }

    @Test("what needs trimmed events says where the log begins")
    func lookingBack() throws {
        try append(0..<100, keys: 5)
        try folder.catchUp([tally("a")])
        let first = try trim(60)
        let views = ViewSet([tally("a")])
        let verify = #expect(throws: KappaError.self) {
            try Verifier(folder.catalog(), views).verify(VersionReference("tally", nil))
        }
        #expect(verify?.what == "tally@1 cannot be replayed")
        let entry = try #require(try folder.entry("tally", 1))
        for (offset, says) in [
            (10, "the log no longer has offset 10"), (80, "tally@1 cannot be replayed"),
        ] {
            let error = #expect(throws: KappaError.self) {
                try PastVersion(
                    entry, at: Offset(UInt64(offset)), folder.catalog(), views)
            }
            #expect(error?.what == says)
        }
        let why = try Why(
            [views.definitions()[0]], key: .string("k1"), to: Offset(100), in: folder.data)
        #expect(why.first == Offset(UInt64(first)))
        var offsets: [UInt64] = []
        try why.run {
            offsets.append($0.offset.rawValue)
            return true
        }
        #expect(offsets == (UInt64(first)..<100).filter { $0 % 5 == 1 })
        // A version that began there can be looked at and verified.
        try folder.catchUp([tally("b", below: 1_000)])
        let newer = ViewSet([tally("b", below: 1_000)])
        let second = try #require(try folder.entry("tally", 2))
        let seen = try PastVersion(second, at: Offset(80), folder.catalog(), newer)
        #expect(try folder.csv(seen.reader) == rows(tally("b"), from: first, to: 80))
        let result = try Verifier(folder.catalog(), newer)
            .verify(VersionReference("tally", VersionNumber(2)))
        #expect(result.fault == nil)
        // A plan tries out what is there.
        let changed = ViewSet([tally("c", below: 1_000)])
        let steps = try Plan.steps(folder.data, changed, sampleEvents: 20)
        #expect(steps.first?.rows == 5)
    }

    @Test("a run trims by age and size, as far as versions allow")
    func retention() throws {
        try append(0..<100, keys: 5)
        try folder.catchUp([tally("a")])
        try append(100..<130, keys: 5)
        // Version 1 is at 100 and not run: it holds the log.
        let bytes = try LogInfo(folder.data.log).bytes
        let trim = LogTrim(folder.data)
        let held = try trim.apply(LogRetention(bytes: bytes / 10))
        #expect(held.isNew && held.first <= Offset(100) && held.first > Offset(80))
        #expect(held.heldBack == "tally@1, which is live, is at offset 100")
        #expect(try trim.apply(LogRetention(ageMicros: 1_000_000_000)).isNew == false)
        let build = try RunningBuild(folder.data, [tally("a")]) {
            $0.retention = LogRetention(ageMicros: 1)
        }
        try build.until("it trims") {
            try LogReader(folder.data.log).firstOffset > Offset(120)
        }
        try build.stop()
        #expect(build.said.contains { $0.hasPrefix("trimmed 12") })
        #expect(try folder.reader("tally", 1).checkpoint().offset == Offset(130))
    }

    @Test("ages and sizes are parsed")
    func ages() {
        #expect(LogRetention.age("400d") == 34_560_000_000_000 as Int64)
        #expect(LogRetention.age("12h") == 43_200_000_000 as Int64)
        for text in ["", "d", "0d", "-1d", "1", "1y", "1.5h", "99999999d"] {
            #expect(LogRetention.age(text) == nil)
        }
    }
}
