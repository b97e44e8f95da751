import KappaTesting
import Testing

@testable import KappaCLI
@testable import KappaCore

/// Versions that cannot take many of their events are not promoted automatically.
@Suite("Dead letters and promotions") struct DeadLetterGateTests {
    private let folder: VersionsFolder
    init() throws { folder = try VersionsFolder() }

    private struct Misspelt: Event {
        var key: String
        static let eventType: String? = nil
    }

    /// Cannot take ticks from a given number on.
    private func picky(_ digest: String, dies limit: Int, gates: [Gate] = []) -> View<Columns> {
        var view = View<Columns>("tally", digest: digest) {
            Events(Tick.self).filter {
                if $0.v >= limit { throw KappaError(.badInput, "\($0.v) is too much") }
                return true
            }.grouped(by: \.k).aggregate(.count().as("n"))
        }
        for gate in gates { view = view.promote(when: gate) }
        return view
    }

    private func live() throws -> Int? { try folder.catalog().live("tally")?.rawValue }

    @Test("a share that rises by more than a percentage point holds a version back, with reasons")
    func rise() throws {
        try folder.append(ticks: 100)
        try folder.catchUp([picky("a", dies: 100)])
        #expect(try live() == 1)
        // One in a hundred is exactly one percent, not more.
        try folder.catchUp([picky("b", dies: 99)])
        #expect(try live() == 2)
        let build = try RunningBuild(folder.data, [picky("c", dies: 97)]) { $0.follows = false }
        try build.wait()
        #expect(build.said.contains("refused tally@3"))
        #expect(try live() == 2)
        let entry = try #require(try folder.entry("tally", 3))
        #expect(entry.state == .ready)
        #expect(
            entry.reason
                == "not promoted: dead letters: 3 of 100 events (3%) are dead letters, "
                + "1 of 100 events (1%) in tally@2")
        let judgement = try #require(try folder.catalog().judgements(of: "tally").last)
        #expect(judgement.isHeldByDeadLetters)
        #expect(
            Judgement.refusal(of: [judgement], named: 1).advice?.contains("kappa dead tally@3")
                == true)
        // Promoting it by name is an approval.
        _ = try NamedPromotion(folder.data, .empty).run([
            VersionReference("tally", VersionNumber(3))
        ])
        #expect(try live() == 3)
        // Compared with that version it is no increase.
        try folder.catchUp([picky("d", dies: 97)])
        #expect(try live() == 4)
    }

    @Test(
        "a first version is promoted with some dead letters, and held back if most events are dead")
    func first() throws {
        try folder.append(ticks: 10)
        try folder.catchUp([picky("a", dies: 5)])
        #expect(try live() == 1)
        let misspelt = View("misspelt", digest: "1") {
            Events(Misspelt.self).grouped(by: \.key).aggregate(.count().as("n"))
        }
        let build = try RunningBuild(folder.data, [misspelt, picky("a", dies: 5)]) {
            $0.follows = false
        }
        try build.wait()
        #expect(build.said.contains("refused misspelt@1"))
        #expect(try folder.catalog().live("misspelt") == nil)
        #expect(
            try folder.entry("misspelt", 1)?.reason
                == "not promoted: dead letters: 10 of 10 events (100%) are dead letters")
    }

    @Test("a view's own gate alone decides: by number or by share")
    func own() throws {
        try folder.append(ticks: 100)
        try folder.catchUp([picky("a", dies: 100)])
        try folder.catchUp([picky("b", dies: 50, gates: [.deadLetters(atMost: .percent(50))])])
        #expect(try live() == 2)
        try folder.catchUp([picky("c", dies: 49, gates: [.deadLetters(atMost: 50)])])
        #expect(try live() == 2)
        #expect(
            try folder.entry("tally", 3)?.reason?.hasPrefix("not promoted: max-dead=50: 51 of 100")
                == true)
        for text in ["max-dead=1%", "max-dead=3", "max-late=0.5%"] {
            #expect(try "\(GateOption.parse(text))" == text)
        }
    }

    @Test("late events have a gate, too")
    func late() throws {
        struct Timed: Event {
            var k: String
            var at: Timestamp
            static let eventType: String? = nil
        }
        func view(_ gate: Gate) -> View<Columns> {
            View("timed", digest: "\(gate)") {
                Events(Timed.self, at: \.at)
                    .window(.tumbling(.minutes(1)), lateness: .zero).aggregate(.count().as("n"))
            }.promote(when: gate)
        }
        try folder.append(
            [9, 5, 6, 7].map { #"{"k":"a","at":"2024-01-01T00:0\#($0):00Z"}"# })
        try folder.catchUp([view(.lateEvents(atMost: .percent(70)))])
        #expect(try folder.catalog().live("timed") == nil)
        #expect(
            try folder.entry("timed", 1)?.reason?.contains("3 of 4 events (75%) are late") == true)
        try folder.catchUp([view(.lateEvents(atMost: .percent(75)))])
        #expect(try folder.catalog().live("timed") == VersionNumber(2))
    }
}
