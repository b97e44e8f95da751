import Testing

@testable import KappaCore

@Suite("Monitors, threads and errors")
struct MonitorTests {
    @Test("many threads change a monitor's state one after another")
    func counts() throws {
        let count = Monitor(0)
        let threads = try (0..<8).map { number in
            try WorkerThread("count \(number)") {
                for _ in 0..<1_000 { count.withLock { $0 += 1 } }
            }
        }
        for thread in threads { thread.join() }
        #expect(count.withLock { $0 } == 8_000)
    }

    @Test("a waiting thread is woken by each change, and returns with what it waited for")
    func waits() throws {
        let turn = Monitor(0)
        let threads = try (0..<4).map { number in
            try WorkerThread("waits") {
                // Each waits for its turn, and passes it to the next.
                for round in 0..<50 {
                    turn.wait { value -> Void? in
                        guard value == round * 4 + number else { return nil }
                        value += 1
                        return ()
                    }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(turn.withLock { $0 } == 200)
    }

    @Test("a waiting thread is not woken by changes that do not concern it")
    func undisturbed() throws {
        let value = Monitor(0)
        let checks = Monitor(0)
        let thread = try WorkerThread("waits") {
            value.wait { number -> Void? in
                checks.withLock { $0 += 1 }
                return number == 100 ? () : nil
            }
        }
        checks.wait { $0 > 0 ? () : nil }
        for _ in 0..<100 { value.withLock { $0 += 1 } }
        thread.join()
        // It checked the condition once; after that the threads that changed the number did, and woke it at
        // the last change.
        #expect(checks.withLock { $0 } <= 101)
    }

    @Test("one item wakes one waiting thread, the one that came first")
    func oneEach() throws {
        let items = Monitor<[Int]>([])
        let taken = Monitor<[String]>([])
        let waiting = Monitor(0)
        var threads: [WorkerThread] = []
        for name in ["first", "second", "third"] {
            threads.append(
                try WorkerThread(name) {
                    var isCounted = false
                    let item = items.wait { items -> Int? in
                        if !isCounted { waiting.withLock { $0 += 1 } }
                        isCounted = true
                        return items.isEmpty ? nil : items.removeFirst()
                    }
                    taken.withLock { $0.append("\(name) \(item)") }
                })
            let count = threads.count
            waiting.wait { $0 == count ? () : nil }
        }
        for item in 1...3 {
            items.withLock { $0.append(item) }
            taken.wait { $0.count == item ? () : nil }
        }
        for thread in threads { thread.join() }
        #expect(taken.withLock { $0 } == ["first 1", "second 2", "third 3"])
    }

    @Test("a wait with a timeout ends, and items that come later go to others")
    func timeout() {
        let items = Monitor<[Int]>([])
        #expect(items.wait(atMost: .milliseconds(5)) { $0.popLast() } == nil)
        #expect(items.wait(atMost: .zero) { $0.popLast() } == nil)
        items.withLock { $0.append(7) }
        #expect(items.wait(atMost: .seconds(30)) { $0.popLast() } == 7)
    }

    @Test("an error thrown inside leaves the monitor unlocked")
    func throwing() {
        let monitor = Monitor(1)
        #expect(throws: KappaError.self) {
            try monitor.withLock { (state) throws(KappaError) in
                state = 2
                throw KappaError(.bug, "on purpose")
            }
        }
        #expect(monitor.withLock { $0 } == 2)
    }

    @Test("joining an ended thread returns at once, however often")
    func joining() throws {
        let thread = try WorkerThread("a name much longer than fifteen bytes") {}
        thread.join()
        thread.join()
    }

    @Test("an error says what failed, where, why, and what to do next")
    func errorText() {
        let error = KappaError(
            .damaged, "the log is damaged", at: "000.log, byte 5", because: "a bit flipped",
            advice: "Restore the file")
        #expect(
            error.description == """
                the log is damaged
                  where: 000.log, byte 5
                  why:   a bit flipped
                  next:  Restore the file
                """)
        #expect(KappaError(.usage, "no such option").description == "no such option")
    }
}
