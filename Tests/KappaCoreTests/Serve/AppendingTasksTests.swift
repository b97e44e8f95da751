import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// Memory that this process holds, in bytes.
func residentBytes() -> Int {
    let file = fopen("/proc/self/statm", "r")
    defer { if let file { fclose(file) } }
    var line = [CChar](repeating: 0, count: 256)
    guard let file, fgets(&line, 256, file) != nil else { return 0 }
    let words = String(
        decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self
    )
    .split(separator: " ")
    return (words.count > 1 ? Int(words[1]) ?? 0 : 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
}

@Suite("Tasks that append")
struct AppendingTasksTests {
    @Test("a thousand tasks that keep appending hold no more memory than at first")
    func memory() async throws {
        await #expect(processExitsWith: .success) {
            let folder = try TemporaryFolder()
            let kappa = try await Kappa.open(folder.path + "/data", views: ViewSet([]))
            let line = #"{"text":"\#(String(repeating: "x", count: 2_000))"}"#
            func appends(_ each: Int) async throws {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<1_000 {
                        group.addTask {
                            for _ in 0..<each { try await kappa.append(ndjson: line) }
                        }
                    }
                    try await group.waitForAll()
                }
            }
            try await appends(3)
            let before = residentBytes()
            try await appends(30)
            let grown = residentBytes() - before
            // The appends amount to 60 MB.
            #expect(grown < 20 << 20, "\(grown) bytes")
            // One thread opened it, and one has committed all 33,000 appends.
            #expect(WorkerThread.countMade == 2)
            await kappa.close()
            try waitFor("no thread is left") { WorkerThread.count == 0 }
        }
    }

    @Test(
        "a log whose commit is blocked by another process blocks no other folder and no reader")
    func foldersApart() async throws {
        let folder = try TemporaryFolder()
        let views = ViewSet([tally("a")])
        let held = try await Kappa.open(folder.path + "/held", views: views)
        let other = try await Kappa.open(folder.path + "/other", views: views)
        try await held.append(Tick(k: "a", v: 1))
        try await held.catchUp()
        let lock = try SystemFiles().open(held.data.log + "/lock", O_RDWR)
        defer { close(lock) }
        #expect(flock(lock, LOCK_EX) == 0)
        let waiting = Task {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<200 {
                    group.addTask { try await held.append(Tick(k: "a", v: number)) }
                }
                try await group.waitForAll()
            }
        }
        try await Task.sleep(for: .milliseconds(100))
        let done = Monitor(0)
        let beside = Task {
            try await other.append(Tick(k: "b", v: 1))
            done.withLock { $0 += 1 }
            #expect(try await held.position(of: tally("a")) == Offset(1))
            done.withLock { $0 += 1 }
        }
        let start = ContinuousClock.now
        while done.withLock({ $0 }) < 2, ContinuousClock.now - start < .seconds(20) {
            try await Task.sleep(for: .milliseconds(5))
        }
        #expect(done.withLock { $0 } == 2)
        #expect(flock(lock, LOCK_UN) == 0)
        try await waiting.value
        try await beside.value
        await held.close()
        await other.close()
    }

    @Test(
        "events that wait for a commit are bounded in bytes: tasks encode more when there is room")
    func bounded() async throws {
        let folder = try TemporaryFolder()
        let queue = AppendQueue(try LogWriter(folder.path + "/log"))
        let lock = try SystemFiles().open(folder.path + "/log/lock", O_RDWR)
        defer { close(lock) }
        #expect(flock(lock, LOCK_EX) == 0)
        let text = #"{"text":"\#(String(repeating: "x", count: 100_000))"}"#
        let lines = try EventLines(event: text)
        let made = Monitor(0)
        let appending = Task {
            try await withThrowingTaskGroup(of: Offset.self) { group in
                for _ in 0..<1_000 {
                    group.addTask {
                        try await queue.append {
                            made.withLock { $0 += 1 }
                            return LogWriter.Append(lines)
                        }.firstOffset
                    }
                }
                return try await group.reduce(into: Set<Offset>()) { $0.insert($1) }
            }
        }
        while queue.waitingBytes < AppendQueue.mostBytes {
            try await Task.sleep(for: .milliseconds(1))
        }
        try await Task.sleep(for: .milliseconds(100))
        // Out of 100 MB; in addition one group is being committed, and a few tasks may have entered at once.
        #expect(queue.waitingBytes < AppendQueue.mostBytes + 50 * 100_000)
        #expect(made.withLock { $0 } < 300)
        #expect(flock(lock, LOCK_UN) == 0)
        #expect(try await appending.value.count == 1_000)
        #expect(queue.waitingBytes == 0)
        queue.close()
    }

    /// For comparing two builds: KAPPA_CALLS=1,200 appends 200 times from 1 task.
    @Test("appends and their latency, measured", .enabled(if: getenv("KAPPA_CALLS") != nil))
    func measured() async throws {
        let words = String(cString: getenv("KAPPA_CALLS")).split(separator: ",").map {
            Int($0) ?? 1
        }
        let folder = try TemporaryFolder()
        let kappa = try await Kappa.open(folder.path + "/data", views: ViewSet([]))
        let line = #"{"text":"\#(String(repeating: "x", count: 200))"}"#
        let start = ContinuousClock.now
        let times = try await withThrowingTaskGroup(of: [Duration].self) { group in
            for _ in 0..<words[0] {
                group.addTask {
                    var times: [Duration] = []
                    for _ in 0..<words[1] {
                        let begun = ContinuousClock.now
                        try await kappa.append(ndjson: line)
                        times.append(ContinuousClock.now - begun)
                    }
                    return times
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }.sorted()
        }
        let took = ContinuousClock.now - start
        print(
            "KAPPA_CALLS \(words): \(times.count) appends in \(took), median \(times[times.count / 2]), "
                + "99 % \(times[times.count * 99 / 100])")
        await kappa.close()
    }
}
