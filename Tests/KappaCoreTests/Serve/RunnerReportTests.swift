import Glibc
import KappaTesting
import Testing

@testable import KappaCore

@Suite("What a runner reports to a server")
struct RunnerReportTests {
    private let folder: VersionsFolder
    init() throws { folder = try VersionsFolder() }

    @Test("the observer is told of each step, and of the first dead letter")
    func steps() async throws {
        try folder.append(ticks: 10)
        try folder.append([#"{"k":"a","v":"no number"}"#])
        let kappa = try await Kappa.open(folder.data.path, views: ViewSet([tally("a")]))
        let reports = Monitor<[RunnerReport]>([])
        let running = Task {
            try await kappa.run { report in reports.withLock { $0.append(report) } }
        }
        let id = VersionID("tally", VersionNumber(1))
        var isPromoted = false
        while !isPromoted {
            try await Task.sleep(for: .milliseconds(5))
            isPromoted = reports.withLock {
                $0.contains { if case .promoted(let to) = $0 { to.version == id } else { false } }
            }
        }
        await kappa.close()
        try await running.value
        let all = reports.withLock { $0 }
        #expect(all.allSatisfy { $0.version == id })
        guard case .started(id, .builds) = all[0] else {
            Issue.record("\(all[0])")
            return
        }
        let dead = all.compactMap {
            if case .firstDeadLetter(_, let letter) = $0 { letter } else { nil }
        }
        #expect(dead.map(\.offset) == [Offset(10)])
        #expect(all.contains { if case .caughtUp(_, at: Offset(11)) = $0 { true } else { false } })
    }

    @Test(
        "the permanent failure of a live view reaches the observer, followers and waiting callers")
    func failure() async throws {
        try folder.append(ticks: 10)
        let views = ViewSet([tally("a"), latest("a")])
        let kappa = try await Kappa.open(folder.data.path, views: views)
        try await kappa.catchUp()
        let following = kappa.changes(of: tally("a")).makeAsyncIterator()
        for _ in 0..<5 { #expect(try await following.next() != nil) }
        // A permanent failure: a table is gone.
        let id = VersionID("tally", VersionNumber(1))
        try SQLiteConnection(kappa.data.file(id), .readWrite).execute(
            "DROP VIEW IF EXISTS tally_readable; DROP TABLE _kappa_dead")
        let failed = Monitor<[VersionID]>([])
        let running = Task {
            try await kappa.run { report in
                if case .failed(let id, _) = report { failed.withLock { $0.append(id) } }
            }
        }
        try await kappa.append([Tick(k: "new", v: 1)])
        let error = await #expect(throws: KappaError.self) {
            while try await following.next() != nil {}
        }
        #expect(error?.what == "tally@1 is no longer kept current")
        #expect(failed.withLock { $0 } == [id])
        let waiting = await #expect(throws: KappaError.self) {
            while try await kappa.position(of: tally("a")) ?? .zero <= Offset(10) {
                try await Task.sleep(for: .milliseconds(1))
            }
        }
        #expect(waiting?.reason == error?.reason)
        // The other view continues, and the existing rows can be read.
        while try await kappa.position(of: latest("a")) ?? .zero <= Offset(10) {
            try await Task.sleep(for: .milliseconds(1))
        }
        #expect(try await kappa.columns(of: tally("a")).count == 5)
        let status = try await kappa.status()
        let own = try #require(status.first { $0.version == id })
        #expect(own.isLive && own.reason != nil && own.lag == 1)
        #expect(status.first { $0.version.view == "latest" }?.lag == 0)
        // A later follower gets the error after the rows.
        let late = kappa.changes(of: tally("a")).makeAsyncIterator()
        for _ in 0..<5 { #expect(try await late.next() != nil) }
        await #expect(throws: KappaError.self) { try await late.next() }
        await kappa.close()
        await #expect(throws: KappaError.self) { try await running.value }
    }
}
