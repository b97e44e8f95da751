import Testing

@testable import KappaCore

@Suite("Monitors, threads and errors")
struct MonitorTests {
    @Test("many threads change a monitor's state one after another")
    func counts() {
        let count = Monitor(0)
        let threads = (0..<8).map { number in
            WorkerThread("count \(number)") {
                for _ in 0..<1_000 { count.withLock { $0 += 1 } }
            }
        }
        for thread in threads { thread.join() }
        #expect(count.withLock { $0 } == 8_000)
    }

    @Test("whoever waits is woken by each change, and leaves with what it waited for")
    func waits() {
        let turn = Monitor(0)
        let threads = (0..<4).map { number in
            WorkerThread("waits") {
                // Each waits for its turn, and gives it to the next.
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

    @Test("joining a thread that has ended returns at once, however often")
    func joining() {
        let thread = WorkerThread("a name much longer than fifteen bytes") {}
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
