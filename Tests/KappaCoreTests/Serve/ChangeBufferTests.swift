import Testing

@testable import KappaCore

@Suite("The buffer of changes for a task")
struct ChangeBufferTests {
    private func change(_ number: Int, bytes: Int = 0) -> Change {
        Change(
            offset: Offset(UInt64(number)), table: "tally", operation: .insert, key: "[]",
            before: nil, after: bytes > 0 ? String(repeating: "x", count: bytes) : nil,
            version: VersionNumber(1))
    }

    @Test("a slow reader gets everything in order, and the buffer never exceeds its bound")
    func backPressure() async throws {
        let signals = Monitor(0)
        let buffer = ChangeBuffer("tally") { signals.withLock { $0 += 1 } }
        let changes = (0..<5_000).map { change($0) }
        var next = 0
        var taken: [Change] = []
        while taken.count < changes.count {
            while next < changes.count, buffer.room().isLeft {
                try buffer.put(changes[next])
                next += 1
            }
            #expect(buffer.held.count <= ChangeBuffer.mostCount)
            for _ in 0..<700 where taken.count < next {
                if let change = try await buffer.next() { taken.append(change) }
            }
        }
        buffer.finish(.success(()))
        #expect(taken == changes)
        #expect(try await buffer.next() == nil)
        // Each time that it had been full and half of it was taken.
        #expect((1...20).contains(signals.withLock { $0 }))
    }

    @Test("large changes are bounded by their bytes, but at least one is held")
    func bytes() throws {
        let buffer = ChangeBuffer("tally")
        var count = 0
        while buffer.room().isLeft {
            try buffer.put(change(count, bytes: 10_000))
            count += 1
        }
        #expect((20...30).contains(count))
        #expect(buffer.held.bytes < ChangeBuffer.mostBytes + 10_200)
        let large = ChangeBuffer("tally")
        #expect(large.room().isLeft)
        try large.put(change(0, bytes: 10 << 20))
        #expect(!large.room().isLeft)
    }

    @Test("once the reading end is gone, nothing is held, and the thread is told")
    func readerGoes() async throws {
        let isTold = Monitor(false)
        let buffer = ChangeBuffer("tally") { isTold.withLock { $0 = true } }
        var stream: ChangeStream? = ChangeStream(buffer)
        try buffer.put(change(1))
        try buffer.put(change(2))
        #expect(try await stream?.makeAsyncIterator().next() == change(1))
        stream = nil
        #expect(isTold.withLock { $0 })
        #expect(buffer.isEnded)
        #expect(buffer.held.count == 0)
        #expect(throws: CancellationError.self) { try buffer.put(change(3)) }
    }

    @Test("a task that is cancelled while it waits gets the end of the stream")
    func cancelled() async throws {
        let buffer = ChangeBuffer("tally")
        let reading = Task { try await buffer.next() }
        reading.cancel()
        #expect(try await reading.value == nil)
        #expect(throws: CancellationError.self) { try buffer.put(change(1)) }
    }

    @Test("an error comes after the changes before it")
    func error() async throws {
        let buffer = ChangeBuffer("tally")
        try buffer.put(change(7))
        buffer.finish(.failure(KappaError(.notFound, "too far")))
        #expect(try await buffer.next() == change(7))
        await #expect(throws: KappaError.self) { try await buffer.next() }
    }

    @Test("a second task that iterates is refused, and the first one continues")
    func twoTasks() async throws {
        let buffer = ChangeBuffer("tally")
        let stream = ChangeStream(buffer)
        // Whichever comes second is refused; the other one keeps waiting.
        let outcomes = Monitor<[String]>([])
        let tasks = (0..<2).map { _ in
            Task {
                do {
                    let change = try await stream.makeAsyncIterator().next()
                    outcomes.withLock { $0.append(change == nil ? "end" : "change") }
                } catch let error as KappaError {
                    #expect(error.code == .usage)
                    #expect(error.what == "the changes of tally are iterated by two tasks at once")
                    outcomes.withLock { $0.append("refused") }
                }
            }
        }
        while outcomes.withLock({ $0.isEmpty }) { try await Task.sleep(for: .milliseconds(1)) }
        try buffer.put(change(1))
        for task in tasks { try await task.value }
        #expect(outcomes.withLock { $0 } == ["refused", "change"])
    }
}
