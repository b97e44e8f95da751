import Foundation
import Testing

@testable import KappaCore

@Suite("Waiting for the log to grow")
struct LogWatcherTests {
    private let folder = LogFolder()

    @Test("a wait returns at once if there is more already")
    func already() throws {
        _ = try LogWriter(folder.path).append(LogTesting.lines(["{}"]))
        try LogWatcher(folder.path).wait(past: .zero)
    }

    @Test("an append wakes the waiting reader")
    func wakes() throws {
        let writer = try LogWriter(folder.path)
        let watcher = try LogWatcher(folder.path)
        let seen = Monitor<Int?>(nil)
        let path = folder.path
        let thread = try WorkerThread("waits") {
            try? watcher.wait(past: Offset(1))
            let end = (try? LogReader(path).durableEnd()) ?? .zero
            seen.withLock { $0 = Int(end.rawValue) }
        }
        // Only the second append brings the log past offset 1.
        _ = try writer.append(LogTesting.lines(["{}"]))
        _ = try writer.append(LogTesting.lines(["{}"]))
        thread.join()
        #expect(seen.withLock { $0 } == 2)
    }

    @Test(
        "an append of another process wakes the waiting reader, long before the slow poll",
        // Needs the program, which is built together with the tests unless asked otherwise.
        .enabled(if: LogTesting.program != nil, "the program kappa is not built"))
    func otherProcess() throws {
        let log = folder.file("log")
        _ = try LogWriter(log)
        try folder.write(Array("{}".utf8), to: "input")
        let watcher = try LogWatcher(log)
        let process = try LogTesting.start(["append", "--data", folder.path, folder.file("input")])
        try watcher.wait(past: .zero)
        #expect(try LogReader(log).durableEnd() == Offset(1))
        process.waitUntilExit()
    }

    @Test("cancelling ends every wait, current and future")
    func cancel() throws {
        _ = try LogWriter(folder.path)
        let watcher = try LogWatcher(folder.path)
        let thread = try WorkerThread("waits") { try? watcher.wait(past: .zero) }
        watcher.cancel()
        thread.join()
        try watcher.wait(past: .zero)
    }

    @Test("a wait with a timeout lasts that long, even while the log grows too little")
    func timeout() throws {
        let writer = try LogWriter(folder.path)
        let watcher = try LogWatcher(folder.path)
        let done = Monitor(false)
        let thread = try WorkerThread("appends") {
            while !done.withLock({ $0 }) {
                guard let lines = try? LogTesting.lines(["{}"]) else { return }
                _ = try? writer.append(lines)
            }
        }
        let clock = ContinuousClock()
        let start = clock.now
        try watcher.wait(past: Offset(.max), timeoutMilliseconds: 150)
        #expect(clock.now - start >= .milliseconds(150))
        done.withLock { $0 = true }
        thread.join()
        try watcher.wait(past: Offset(.max), timeoutMilliseconds: 0)
    }
}
