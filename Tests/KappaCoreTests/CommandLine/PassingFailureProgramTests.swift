import Foundation
import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// System calls of a following `kappa run` fail for a while: it retries and becomes current again.
@Suite("A run whose system calls fail for a while")
struct PassingFailureProgramTests {
    private let kappa: KappaProgram
    private let run: KappaProgram.Child

    init() throws {
        kappa = try KappaProgram()
        try kappa.generate(200)
        let run = try kappa.start(["run"])
        self.run = run
        try waitFor("run follows") {
            ["user_totals", "action_counts", "author_streaks"].allSatisfy {
                run.errors.contains("\($0)@1: live since")
            }
        }
    }

    private func isCurrent() throws -> Bool {
        let end = try LogReader(kappa.data.log).durableEnd()
        let catalog = try Catalog(kappa.data)
        return try VersionStatus.all(catalog).filter(\.isLive).allSatisfy {
            $0.position == end && $0.reason == nil
        }
    }

    private func end(_ comment: Comment) throws {
        run.signal(SIGTERM)
        let ended = try run.wait()
        #expect(ended.code == 0, "\(ended) \(comment)")
        #expect(!ended.errors.contains("a bug"), comment)
    }

    private static let prlimit = "/usr/bin/prlimit"

    private func limit(_ files: String) throws {
        let done = try kappa.shell("\(Self.prlimit) --pid \(run.pid) --nofile=\(files)")
        #expect(done.code == 0, "\(done)")
    }

    @Test(
        "at the limit on open files it says so, and is current when there is room again",
        .enabled(if: KappaProgram.succeeds("\(prlimit) --nofile"), "prlimit sets the limit"))
    func openFiles() throws {
        // Standard input, output and error hold the three numbers below the limit for good, so nothing
        // can be opened. (A limit just above what is open now would leave room as soon as the run
        // closes a file that it has open for a moment.)
        try limit("3:")
        try kappa.generate(50, seed: 2)
        do {
            try waitFor("it says so") { run.errors.lowercased().contains("too many open files") }
        } catch {
            Issue.record("its errors so far:\n\(run.errors)")
            throw error
        }
        try waitFor("status shows it") {
            let status = try kappa.run("status")
            return status.errors.lowercased().contains("too many open files")
                && status.errors.contains("resumes automatically once that has passed")
        }
        try limit("1024:")
        try waitFor("it is current again") { try isCurrent() }
        #expect(run.errors.contains("works again"))
        try end("open files")
    }

    private static let strace = "/usr/bin/strace"
    private static let canAttach = KappaProgram.succeeds(
        "sleep 5 & \(strace) -o /dev/null -p $! & sleep 0.3; kill -INT $!; wait $! 2>/dev/null; "
            + "test -x \(strace) && test \"$(cat /proc/sys/kernel/yama/ptrace_scope || echo 0)\" = 0"
    )

    /// KAPPA_FULL_SWEEP=1 tries all of them, otherwise some, another few each time.
    private static let failures = [
        "openat:EMFILE", "openat:ENFILE", "pwrite64:ENOSPC", "pwrite64:EIO", "fdatasync:EIO",
        "pread64:EIO", "ftruncate:EIO", "flock:ENOLCK", "fcntl:EIO", "mmap:ENOMEM",
        "inotify_init1:EMFILE", "eventfd2:EMFILE", "poll:ENOMEM", "newfstatat:EIO", "fstat:EIO",
        "unlink:EIO", "rename:EIO", "mkdir:ENOSPC", "readlink:EIO", "access:EIO",
    ]

    @Test(
        "whichever call fails for a while, it survives, says so, and is current afterwards",
        .enabled(if: canAttach, "strace makes them fail"))
    func calls() throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        let isFull = getenv("KAPPA_FULL_SWEEP") != nil
        let failures = Self.failures.shuffled(using: &random).prefix(isFull ? 100 : 2)
        for (index, failure) in failures.enumerated() {
            let comment: Comment = "\(failure), KAPPA_SEED=\(seed)"
            let parts = failure.split(separator: ":")
            let tracer = try kappa.start(
                [
                    "-f", "-qq", "-o", "/dev/null", "-p", "\(run.pid)", "-e", "trace=\(parts[0])",
                    "-e",
                    "inject=\(parts[0]):error=\(parts[1])",
                ], program: Self.strace)
            usleep(100_000)
            try kappa.generate(20, seed: 10 + index)
            // Sometimes the live version changes meanwhile.
            if index % 3 == 2 { try kappa.run("rebuild", "user_totals") }
            usleep(500_000)
            tracer.signal(SIGINT)
            _ = try tracer.wait()
            do { try waitFor("it is current again") { try isCurrent() } } catch {
                let status = try kappa.run("status")
                Issue.record(
                    "\(status)\n\(run.errors.suffix(3_000))", sourceLocation: #_sourceLocation)
                Issue.record(comment)
                break
            }
        }
        // A failed lock does not mean that somebody holds it.
        #expect(!run.errors.contains("process \(run.pid) holds its lease"), "KAPPA_SEED=\(seed)")
        try end("KAPPA_SEED=\(seed)")
    }
}
