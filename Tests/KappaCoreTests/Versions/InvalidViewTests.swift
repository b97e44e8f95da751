import KappaTesting
import Testing

@testable import KappaCore

/// Invalid views: only they fail.
@Suite("Invalid views") struct InvalidViewTests {
    /// Views that are each invalid in a different way, with a part of the message.
    private static var wrong: [(view: any AnyView, what: String)] {
        let ticks = Events(Tick.self)
        return [
            (
                View("Bad Name", digest: "1") {
                    ticks.grouped(by: \.k).aggregate(.count().as("n"))
                }, "cannot name a view"
            ),
            (
                View("columns", digest: "1") {
                    ticks.grouped(by: \.k).aggregate(.count().as("n"), .sum(\.v).as("n"))
                }, "two columns named n"
            ),
            (
                View("tables", digest: "1") {
                    ticks.grouped(by: \.k).aggregate(.count().as("n"))
                    ticks.grouped(by: \.v).aggregate(.count().as("n"))
                }, "two tables"
            ),
            (
                View("windowed", digest: "1") {
                    ticks.window(.tumbling(.hours(1))).aggregate(.count().as("n"))
                }, "time"
            ),
            (
                View("ahead", digest: "1") {
                    ticks.ignoringTimes(furtherAheadThan: .hours(1))
                        .grouped(by: \.k).aggregate(.count().as("n"))
                }, "no time"
            ),
            (
                View("steps", digest: "1") {
                    ticks.grouped(by: \.k).aggregate(.count().as("n"))
                        .rows(as: Latest.self).grouped(by: \.value).aggregate(.count().as("n"))
                }, "does not make"
            ),
            (
                View("drift", digest: "1") {
                    ticks.grouped(by: \.k).aggregate(.count().as("n"))
                }.promote(when: .columnDrift("missing", atMost: 1)), "missing"
            ),
        ]
    }

    @Test("each fails alone: the others are built and stay live, and it says why")
    func alone() throws {
        for (view, what) in Self.wrong {
            let folder = try VersionsFolder()
            try folder.append(ticks: 20)
            let views: [any AnyView] = [view, tally("a")]
            let build = try RunningBuild(folder.data, views) { $0.follows = false }
            try build.wait()
            #expect(build.said.contains("invalid \(view.name)"), "\(build.said)")
            #expect(build.said.contains("promoted tally@1"))
            #expect(try folder.catalog().live("tally") != nil)
            let steps = try Plan.steps(folder.data, ViewSet(views))
            #expect(steps.map(\.action) == [.keep, .invalid], "\(view.name)")
            #expect(steps.last?.note?.contains(what) == true, "\(steps.last?.note ?? "")")
            // Asked for by name, it says what is wrong.
            let error = #expect(throws: KappaError.self) {
                try folder.catchUp([view, tally("a")], rebuilds: true, named: [view.name])
            }
            #expect(error?.code == .usage || error?.code == .badInput, "\(view.name)")
        }
    }

    @Test(
        "of two views with the same name neither is built, and the live version of that name stays")
    func twins() throws {
        let folder = try VersionsFolder()
        try folder.append(ticks: 20)
        try folder.catchUp([tally("a"), tally("a", named: "other")])
        let build = try RunningBuild(
            folder.data, [tally("b"), tally("c"), tally("a", named: "other")]
        ) { $0.follows = false }
        try build.wait()
        #expect(build.said.contains("invalid tally"))
        #expect(build.said.contains("started other@1 keep"))
        #expect(try folder.catalog().live("tally") == VersionNumber(1))
        #expect(try folder.rows("tally", 1).count == 5)
    }

    @Test("the library opens the folder; calls about the invalid view throw the reason")
    func library() async throws {
        let folder = try TemporaryFolder()
        let wrong = View("columns", digest: "1") {
            Events(Tick.self).grouped(by: \.k).aggregate(.count().as("n"), .sum(\.v).as("n"))
        }
        let sound = tally("a")
        let kappa = try await Kappa.open(folder.path + "/d", views: ViewSet([wrong, sound]))
        let running = Task { try await kappa.run() }
        try await kappa.append(Tick(k: "a", v: 1))
        while try await kappa.position(of: sound) ?? .zero < Offset(1) {
            try await Task.sleep(for: .milliseconds(2))
        }
        let error = await #expect(throws: KappaError.self) {
            _ = try await kappa.position(of: wrong)
        }
        #expect(error?.what.contains("two columns named n") == true)
        await kappa.close()
        _ = try? await running.value
    }
}
