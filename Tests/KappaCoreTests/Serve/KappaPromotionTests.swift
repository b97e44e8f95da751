import KappaTesting
import Testing

@testable import KappaCore

@Suite("Promoting from Swift")
struct KappaPromotionTests {
    private let folder: VersionsFolder

    init() throws {
        folder = try VersionsFolder()
        try folder.append(ticks: 20)
        try folder.catchUp([tally("a"), tally("a", named: "other")])
    }

    private func open(_ views: any AnyView...) async throws -> Kappa {
        try await Kappa.open(folder.data.path, views: ViewSet(views))
    }

    private func live(_ view: String) throws -> Int? {
        try folder.catalog().live(view)?.rawValue
    }

    private func id(_ view: String, _ number: Int) -> VersionID {
        VersionID(view, VersionNumber(number))
    }

    @Test("several versions that wait for a person go live in one step")
    func severalApproved() async throws {
        let first = tally("b").promote(when: .manualApproval)
        let second = tally("b", named: "other").promote(when: .manualApproval)
        let kappa = try await open(first, second)
        try await kappa.catchUp()
        #expect(try live("tally") == 1 && live("other") == 1)
        // Events that arrive meanwhile are applied before the switch.
        try folder.append(ticks: 5, first: 20)
        let promoted = try await kappa.promote(
            first, second, gates: [.changedRows(atMost: .percent(100))])
        #expect(promoted.map(\.version) == [id("tally", 2), id("other", 2)])
        #expect(promoted.map(\.replaced) == [id("tally", 1), id("other", 1)])
        #expect(promoted.map(\.position) == [Offset(25), Offset(25)])
        #expect(try live("tally") == 2 && live("other") == 2)
        // Again: nothing is switched, and the result says so.
        let again = try await kappa.promote(first)
        #expect(again.map(\.version) == again.map(\.replaced))
        await kappa.close()
        await #expect(throws: KappaError.self) { try await kappa.promote(first) }
    }

    @Test("if a gate refuses one of them, none goes live, and the error has its figures")
    func refused() async throws {
        let first = tally("b", below: 10).promote(when: .manualApproval)
        let second = tally("b", named: "other").promote(when: .manualApproval)
        let kappa = try await open(first, second)
        try await kappa.catchUp()
        let error = await #expect(throws: KappaError.self) {
            try await kappa.promote(second, first, gates: [.changedRows(atMost: 0)])
        }
        #expect(error?.code == .refused)
        #expect(error?.what == "gates refuse tally@2; so none is promoted")
        #expect(error?.reason == "max-changed=0: 5 changed of 5 live rows (100%)")
        #expect(try live("tally") == 1 && live("other") == 1)
        let forced = try await kappa.promote(
            [VersionReference("tally@2")], gates: [.changedRows(atMost: 0)], passesOverGates: true)
        #expect(forced.map(\.version) == [id("tally", 2)])
        #expect(try folder.catalog().history(of: "tally").last?.reason == "promote --force")
        await kappa.close()
    }

    @Test("while run() follows, only run() brings versions forward")
    func whileRunning() async throws {
        let first = tally("b").promote(when: .manualApproval)
        let kappa = try await open(first)
        let running = Task { try await kappa.run() }
        var isReady = false
        while !isReady {
            isReady = try folder.entry("tally", 2)?.state == .ready
            try await Task.sleep(for: .milliseconds(5))
        }
        try await kappa.append(ndjson: Tick.line("k1", 1))
        let promoted = try await kappa.promote(first)
        #expect(promoted.map(\.version) == [id("tally", 2)])
        #expect(try live("tally") == 2)
        await kappa.close()
        try await running.value
    }

    @Test("unknown views and versions are not found, and a view may be named only once")
    func wrongNames() async throws {
        let kappa = try await open(tally("a"))
        for wrong in ["nix", "tally@9"] {
            let error = await #expect(throws: KappaError.self) {
                try await kappa.promote([VersionReference(wrong)])
            }
            #expect(error?.code == .notFound, "\(wrong)")
        }
        let twice = await #expect(throws: KappaError.self) {
            try await kappa.promote(tally("a"), tally("a"))
        }
        #expect(twice?.code == .usage)
        await kappa.close()
    }

    @Test("a cancelled task promotes nothing")
    func cancelled() async throws {
        let first = tally("b").promote(when: .manualApproval)
        let kappa = try await open(first)
        try await kappa.catchUp()
        // Another process holds the version and reports that it is building it.
        let lease = try Lease(id("tally", 2), in: folder.data)
        try folder.catalog().setState(id("tally", 2), .building)
        let task = Task { try await kappa.promote(first) }
        try await Task.sleep(for: .milliseconds(20))
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(try live("tally") == 1)
        withExtendedLifetime(lease) {}
        await kappa.close()
    }
}
