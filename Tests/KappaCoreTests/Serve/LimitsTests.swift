import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// The system gives this process no more threads or open files. Each test runs in its own process.
@Suite("At the limits of the system")
struct LimitsTests {
    private let folder: VersionsFolder
    init() throws { folder = try VersionsFolder() }

    /// Every call of a `Kappa`, by its name.
    private static let calls: [(name: String, call: @Sendable (Kappa) async throws -> Void)] = [
        ("append", { try await $0.append(Tick(k: "a", v: 1)) }),
        ("append(ndjson:)", { try await $0.append(ndjson: Tick.line("b", 1)) }),
        ("catchUp", { try await $0.catchUp() }),
        ("row", { _ = try await $0.row(of: latest("a"), key: "k1") }),
        ("rows", { _ = try await $0.rows(of: latest("a")) }),
        ("columns", { _ = try await $0.columns(of: tally("a")) }),
        ("position", { _ = try await $0.position(of: tally("a")) }),
        ("status", { _ = try await $0.status() }),
        ("row at", { _ = try await $0.row(of: latest("a"), key: "k1", at: Offset(3)) }),
        ("rows at", { _ = try await $0.rows(of: latest("a"), at: Offset(3)) }),
        ("offset(asOf:)", { _ = try await $0.offset(asOf: Timestamp(microseconds: 0)) }),
        ("promote", { try await $0.promote(latest("a")) }),
        ("changes", { _ = try await $0.changes(of: tally("a")).makeAsyncIterator().next() }),
        (
            "run",
            { kappa in
                let running = Task { try await kappa.run() }
                try await Task.sleep(for: .milliseconds(50))
                running.cancel()
                try await running.value
            }
        ),
    ]

    private static let views = ViewSet([latest("a"), tally("a")])

    /// Makes every call, at each limit; a failure must have this message.
    private static func sweep(
        _ path: String, limits: ClosedRange<Int>, _ set: (Int) -> Void, words: String
    ) async throws {
        var failed: Set<String> = []
        for limit in limits {
            for (name, call) in calls {
                let kappa = try await Kappa.open(path, views: views)
                set(limit)
                do { try await call(kappa) } catch {
                    failed.insert(name)
                    #expect(error is KappaError, "\(name) at \(limit): \(error)")
                    #expect("\(error)".contains(words), "\(name) at \(limit): \(error)")
                }
                set(.max)
                // It continues when there is room again.
                do {
                    try await kappa.append(Tick(k: "again", v: 1))
                    try await kappa.catchUp()
                    #expect(try await kappa.position(of: tally("a")) != nil)
                } catch { Issue.record("after \(name) at \(limit): \(error)") }
                await kappa.close()
            }
        }
        #expect(failed == Set(calls.map(\.name)), "the others never failed")
    }

    @Test("without a thread every call throws and says so, and the process survives")
    func threads() async throws {
        try folder.append(ticks: 20)
        try folder.catchUp([latest("a"), tally("a")])
        await #expect(processExitsWith: .success) { [path = folder.data.path as String] in
            try await Self.sweep(
                path, limits: 0...6,
                { WorkerThread.most.store($0 == .max ? .max : $0, ordering: .relaxed) },
                words: "a thread cannot be made")
        }
    }

    @Test("a replay without helper threads makes the same rows")
    func alone() async throws {
        try folder.append(ticks: 20_000, keys: 3_000)
        let path = folder.data.path
        await #expect(processExitsWith: .success) { [path = path as String] in
            // Only the runner's own thread.
            WorkerThread.most.store(1, ordering: .relaxed)
            var options = ViewRunner.Options()
            options.follows = false
            try ViewRunner(DataFolder(path), ViewSet([tally("a")]), options: options).run()
        }
        await #expect(processExitsWith: .success) { [path = path as String] in
            WorkerThread.most.store(1, ordering: .relaxed)
            let runner = try ViewRunner(DataFolder(path), ViewSet([tally("a")]), options: .init())
            let writer = try LogWriter(path + "/log")
            let timer = Task {
                // It follows, too: the applying thread waits for the log itself.
                _ = try writer.append(EventLines(event: Tick.line("new", 1)))
                let reader = try VersionReader(path + "/views/tally/1.db")
                while try reader.checkpoint().offset < Offset(20_001) {
                    try await Task.sleep(for: .milliseconds(5))
                }
                runner.stop()
            }
            try runner.run()
            try await timer.value
        }
        let wanted = try VersionsFolder()
        try wanted.append(ticks: 20_000, keys: 3_000)
        try wanted.append([Tick.line("new", 1)])
        try wanted.catchUp([tally("a")])
        #expect(try folder.rows("tally", 1) == wanted.rows("tally", 1))
    }

    @Test(
        "the system's own limit on threads is reported with advice",
        .enabled(if: getuid() == 0))
    func systemLimit() async throws {
        let path = folder.data.path
        chmod(path, 0o777)
        await #expect(processExitsWith: .success) { [path = path as String] in
            // As another user who already has the maximum number: root has no limit.
            var limit = rlimit(rlim_cur: 1, rlim_max: 1)
            #expect(setrlimit(__rlimit_resource_t(__RLIMIT_NPROC.rawValue), &limit) == 0)
            #expect(setgid(65_534) == 0 && setuid(65_534) == 0)
            let error = await #expect(throws: KappaError.self) {
                try await Kappa.open(path + "/own", views: ViewSet([tally("a")]))
            }
            #expect(error?.what == "a thread cannot be made")
            #expect(error?.reason == "pthread_create: Resource temporarily unavailable")
            #expect(error?.advice?.contains("ulimit -u") == true)
        }
    }

    @Test("if no file can be opened, every call throws and says so, and works again later")
    func files() async throws {
        try folder.append(ticks: 20)
        try folder.catchUp([latest("a"), tally("a")])
        await #expect(processExitsWith: .success) { [path = folder.data.path as String] in
            var usual = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &usual)
            // The runtime's own timers need files, too, and end the process if they get none.
            try await Task.sleep(for: .milliseconds(1))
            Self.endWhereLibdispatchTraps()
            let hard = usual.rlim_max
            let soft = usual.rlim_cur
            try await Self.sweep(
                path, limits: 0...14,
                { more in
                    var limit = rlimit(
                        rlim_cur: more == .max ? soft : rlim_t(Self.lowestFree() + more),
                        rlim_max: hard)
                    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
                }, words: "open files")
        }
    }

    /// While work is waiting for a thread, libdispatch checks its threads once a second, in files of `/proc`,
    /// and traps if it cannot open one. On a busy machine that may end the sweep early; it is not a fault of
    /// the tested calls.
    private static func endWhereLibdispatchTraps() {
        _ = fileOfCode
        var action = sigaction()
        action.sa_flags = SA_SIGINFO
        action.__sigaction_handler.sa_sigaction = { _, info, _ in
            // The first of the result's four words is the name of the file that contains the address.
            withUnsafeTemporaryAllocation(of: UnsafePointer<CChar>?.self, capacity: 4) { answer in
                answer.initialize(repeating: nil)
                guard let words = answer.baseAddress, let find = LimitsTests.fileOfCode,
                    find(info?.pointee._sifields._sigfault.si_addr, words) != 0,
                    let file = words.pointee, strstr(file, "libdispatch") != nil
                else { return }
                _exit(EXIT_SUCCESS)
            }
            signal(SIGILL, SIG_DFL)
        }
        sigaction(SIGILL, &action, nil)
    }

    private typealias FindFile =
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafeMutablePointer<UnsafePointer<CChar>?>
        ) -> Int32
    /// `dladdr`, which Glibc's module does not export.
    private static let fileOfCode = dlsym(nil, "dladdr").map {
        unsafeBitCast($0, to: FindFile.self)
    }

    /// The number that the next opened file gets.
    private static func lowestFree() -> Int {
        let file = dup(0)
        close(file)
        return Int(file)
    }

    @Test(
        "calls that race with close() succeed or say that it is closed, and nothing stays open")
    func closing() async throws {
        try folder.append(ticks: 20)
        try folder.catchUp([latest("a"), tally("a")])
        await #expect(processExitsWith: .success) { [path = folder.data.path as String] in
            // After this the process has opened the files that it opens only once.
            for _ in 0..<2 {
                let kappa = try await Kappa.open(path, views: Self.views)
                for (_, call) in Self.calls { try await call(kappa) }
                await kappa.close()
            }
            try waitFor("no thread is left") { WorkerThread.count == 0 }
            let before = openFileCount()
            var kappas: [Kappa] = []
            for round in 0..<20 {
                let kappa = try await Kappa.open(path, views: Self.views)
                kappas.append(kappa)
                await withTaskGroup(of: Void.self) { group in
                    for (name, call) in Self.calls {
                        group.addTask {
                            do { try await call(kappa) } catch let error as KappaError {
                                let isSo =
                                    error.what.hasPrefix("this Kappa is closed")
                                    || error.code == .heldElsewhere
                                #expect(isSo, "\(name): \(error)")
                            } catch { #expect(error is CancellationError, "\(name): \(error)") }
                        }
                    }
                    try? await Task.sleep(for: .microseconds(round * 300))
                    await kappa.close()
                }
                let error = await #expect(throws: KappaError.self) {
                    try await kappa.position(of: tally("a"))
                }
                #expect(error?.what == "this Kappa is closed")
            }
            try waitFor("no thread is left") { WorkerThread.count == 0 }
            // Although all of them still exist.
            #expect(openFileCount() <= before, "\(kappas.count) are closed")
        }
    }
}
