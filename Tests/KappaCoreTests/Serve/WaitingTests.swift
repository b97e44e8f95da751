import KappaTesting
import Testing

@testable import KappaCore

private struct Hit: Event, Encodable {
    var page: String
}
private struct Other: Event, Encodable {
    var n: Int
}

@Suite("Waiting for a view to reach an offset") struct WaitingTests {
    private static let pages = View("pages", digest: "1") {
        Events(Hit.self).grouped(by: \.page).aggregate(.count().as("hits"))
    }
    private static let views = ViewSet([pages])

    private static func hits(_ kappa: Kappa, _ page: String) async throws -> Value? {
        try await kappa.query(pages, RowQuery(key: RowKey(page))).rows.first?["hits"]
    }

    @Test("many tasks read what they have written, also while events come steadily")
    func readYourWrites() async throws {
        let folder = try TemporaryFolder()
        let kappa = try await Kappa.open(folder.path + "/data", views: Self.views)
        let running = Task { try await kappa.run() }
        let noise = Task {
            var n = 0
            while !Task.isCancelled {
                try await kappa.append(Other(n: n))
                n += 1
            }
        }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for task in 0..<30 {
                tasks.addTask {
                    for round in 1...5 {
                        let offset = try await kappa.append(Hit(page: "p\(task)"))
                        try await kappa.wait(for: Self.pages, reaching: offset)
                        let hits = try await Self.hits(kappa, "p\(task)")
                        #expect(hits == .integer(Int64(round)))
                    }
                }
            }
            try await tasks.waitForAll()
        }
        noise.cancel()
        try? await noise.value
        await kappa.close()
        try await running.value
    }

    @Test("the commits of another program are seen; events that a view does not take count as well")
    func otherProgram() async throws {
        let folder = try TemporaryFolder()
        let runner = try await Kappa.open(folder.path + "/data", views: Self.views)
        let reader = try await Kappa.open(folder.path + "/data", views: Self.views)
        let running = Task { try await runner.run() }
        let first = try await reader.append(Hit(page: "a"))
        try await reader.wait(for: Self.pages, reaching: first)
        #expect(try await Self.hits(reader, "a") == .integer(1))
        let other = try await reader.append(Other(n: 1))
        try await reader.wait(for: Self.pages, reaching: other)
        await runner.close()
        try await running.value
        await reader.close()
    }

    @Test("it ends with an error when the time is over, the task is cancelled, or kappa is closed")
    func ends() async throws {
        let folder = try TemporaryFolder()
        let kappa = try await Kappa.open(folder.path + "/data", views: Self.views)
        let late = await #expect(throws: KappaError.self) {
            try await kappa.wait(for: Self.pages, reaching: .zero, atMost: .milliseconds(20))
        }
        #expect(late?.code == .unreachable)
        #expect(late?.reason == "it has no live version yet")
        let waiting = Task { try await kappa.wait(for: Self.pages, reaching: .zero) }
        try await Task.sleep(for: .milliseconds(20))
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        // Cancelled before it waits.
        let early = Task {
            while !Task.isCancelled { await Task.yield() }
            try await kappa.wait(for: Self.pages, reaching: .zero)
        }
        early.cancel()
        await #expect(throws: CancellationError.self) { try await early.value }
        let left = Task { try await kappa.wait(for: Self.pages, reaching: .zero) }
        try await Task.sleep(for: .milliseconds(20))
        await kappa.close()
        let closed = await #expect(throws: KappaError.self) { try await left.value }
        #expect(closed?.what == "this Kappa is closed")
    }

    @Test("a view that does not exist is an error at once")
    func unknown() async throws {
        let folder = try TemporaryFolder()
        let kappa = try await Kappa.open(folder.path + "/data", views: Self.views)
        let other = View("nothing", digest: "1") {
            Events(Hit.self).grouped(by: \.page).aggregate(.count().as("hits"))
        }
        let error = await #expect(throws: KappaError.self) {
            try await kappa.wait(for: other, reaching: .zero)
        }
        #expect(error?.code == .notFound)
        await kappa.close()
    }
}
