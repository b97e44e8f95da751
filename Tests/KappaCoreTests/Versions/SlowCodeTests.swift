import Testing

@testable import KappaCore

private struct Seen: ViewRow { var seen = 0 }

/// A closure that never returns blocks the other views of its scan: kappa at least reports whose it is.
@Suite("Code of a view that does not return")
struct SlowCodeTests {
    private let folder: VersionsFolder
    init() throws { folder = try VersionsFolder() }

    private func status(_ view: String) throws -> VersionStatus? {
        try VersionStatus.all(folder.catalog(), view: view).first
    }

    /// Blocks at an event until it is released.
    private func stuck(_ gate: Monitor<Bool>, at value: Int) -> any AnyView {
        View("stuck", initially: Seen(), digest: "1") {
            On(Tick.self, key: \.k) { event, row in
                row.seen += 1
                if event.v == value { gate.wait { $0 ? () : nil } }
            }
        }
    }

    @Test(
        "is reported with view and events, shown in its status, and cleared when it continues")
    func live() throws {
        try folder.append(ticks: 20)
        let gate = Monitor(false)
        let build = try RunningBuild(folder.data, [stuck(gate, at: 23), tally("a")]) {
            $0.slowAfter = .milliseconds(200)
        }
        defer { gate.withLock { $0 = true } }
        try build.until("both are live") {
            try status("stuck")?.isLive == true && status("tally")?.isLive == true
        }
        try folder.append(ticks: 10, first: 20)
        try build.until("it is reported, and again after twice as long") {
            build.said.count { $0.hasPrefix("slow stuck@1: its code has been at work") } >= 2
        }
        #expect(build.said.contains { $0.contains("at offsets 20 to 30 for ") }, "\(build.said)")
        #expect(!build.said.contains { $0.hasPrefix("slow tally") })
        try build.until("its status shows it") { try status("stuck")?.reason != nil }
        let reason = try #require(try status("stuck")?.reason)
        #expect(reason.contains("has not returned; it has stood still since 20"), "\(reason)")
        // Waiting callers are not told that the view has failed: it may yet continue.
        #expect(try folder.catalog().standstill(of: "stuck") == nil)
        gate.withLock { $0 = true }
        try build.until("all is current") {
            try status("stuck")?.lag == 0 && status("tally")?.lag == 0
        }
        try build.until("its status is clear") { try status("stuck")?.reason == nil }
        #expect(build.said.contains("recovered stuck@1"))
        try build.stop()
    }

    @Test("is reported for a version being built, too")
    func building() throws {
        try folder.append(ticks: 20)
        let gate = Monitor(false)
        let build = try RunningBuild(folder.data, [stuck(gate, at: 3)]) {
            $0.slowAfter = .milliseconds(100)
            $0.follows = false
        }
        defer { gate.withLock { $0 = true } }
        try build.until("its status shows it") {
            let status = try status("stuck")
            return status?.state == .building && status?.reason?.contains("not returned") == true
        }
        gate.withLock { $0 = true }
        try build.wait()
        #expect(try status("stuck")?.isLive == true)
        #expect(try status("stuck")?.reason == nil)
    }

    @Test("work that progresses is never reported, however long it takes in total")
    func many() throws {
        try folder.append(ticks: 100)
        let pause = View("paused", initially: Seen(), digest: "1") {
            On(Tick.self, key: \.k) { _, row in
                row.seen += 1
                Pause.briefly()
            }
        }
        let reports = Monitor(0)
        let watch = SlowCodeWatch(limit: .seconds(1)) { _ in reports.withLock { $0 += 1 } }
        let mark = CrashMark(for: "paused")
        watch.add(VersionID("paused", VersionNumber(1)), mark.pulse)
        let thread = try WorkerThread("watch") { watch.run() }
        for _ in 0..<300 { mark.during(.applying, .zero, Offset(1)) { Pause.briefly() } }
        watch.stop()
        thread.join()
        #expect(reports.withLock { $0 } == 0)
        let build = try RunningBuild(folder.data, [pause]) { $0.follows = false }
        try build.wait()
        #expect(!build.said.contains { $0.hasPrefix("slow") })
    }
}
