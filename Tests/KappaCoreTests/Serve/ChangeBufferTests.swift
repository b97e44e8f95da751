import Testing

@testable import KappaCore

@Suite("Changes on their way to a task")
struct ChangeBufferTests {
    private func change(_ number: Int) -> Change {
        Change(
            offset: Offset(UInt64(number)), table: "tally", operation: .insert, key: "[]",
            before: nil, after: nil, version: VersionNumber(1))
    }

    @Test("a slow reader holds the writer back, and gets all in order")
    func backPressure() async throws {
        let count = ChangeBuffer.limit * 3
        let buffer = ChangeBuffer()
        let changes = (0..<count).map(change)
        let put = Monitor(0)
        let writer = WorkerThread("test-writer") {
            for change in changes {
                guard (try? buffer.put(change)) != nil else { return }
                put.withLock { $0 += 1 }
            }
            buffer.finish(.success(()))
        }
        put.wait { $0 == ChangeBuffer.limit ? () : nil }
        #expect(buffer.count == ChangeBuffer.limit)
        var taken: [Change] = []
        while let change = try await buffer.next() {
            taken.append(change)
            #expect(buffer.count <= ChangeBuffer.limit)
        }
        writer.join()
        #expect(taken == changes)
        #expect(try await buffer.next() == nil)
    }

    @Test("when the reader goes, a writer that waits for room is let go")
    func readerGoes() async throws {
        let buffer = ChangeBuffer()
        var reader: ChangeReader? = ChangeReader(buffer)
        let change = change(1)
        let failed = Monitor(false)
        let writer = WorkerThread("test-writer") {
            do { while true { try buffer.put(change) } } catch { failed.withLock { $0 = true } }
        }
        try waitFor("it is full") { buffer.count == ChangeBuffer.limit }
        #expect(try await reader?.next() == change)
        reader = nil
        writer.join()
        #expect(failed.withLock { $0 })
        #expect(!buffer.waitUntilTaken())
    }

    @Test("a task that is cancelled while it waits gets the end")
    func cancelled() async throws {
        let buffer = ChangeBuffer()
        let reading = Task { try await buffer.next() }
        reading.cancel()
        #expect(try await reading.value == nil)
        #expect(throws: CancellationError.self) { try buffer.put(change(1)) }
    }

    @Test("an error comes after what was put before it")
    func error() async throws {
        let buffer = ChangeBuffer()
        try buffer.put(change(7))
        buffer.finish(.failure(KappaError(.notFound, "too far behind")))
        #expect(try await buffer.next() == change(7))
        await #expect(throws: KappaError.self) { try await buffer.next() }
    }
}
