import Glibc
import KappaTesting
import Testing

@testable import KappaCLI
@testable import KappaCore

/// Events are missing below the durable end: every command that notices refuses, and changes nothing.
@Suite("A log that has lost events")
struct LogLossTests {
    /// Two segments of 100 events each, and a version that has applied all of them.
    private func program() throws -> KappaProgram {
        let kappa = try KappaProgram()
        try kappa.generate(100)
        let sealed = try kappa.run("log", "seal")
        try kappa.generate(100, seed: 2)
        let built = try kappa.run("rebuild", "user_totals")
        try #require(sealed.code == 0 && built.code == 0, "\(sealed) \(built)")
        return kappa
    }

    @Test(
        "append refuses if a version is ahead of the log",
        arguments: [
            "rm log/head log/00000000000000000100.log", "rm -r log", "rm log/*.log log/head",
            "rm log/head log/00000000000000000100.log; kappa log info > /dev/null",
        ])
    func ahead(loss: String) async throws {
        let kappa = try program()
        _ = try kappa.shell("cd data && \(loss)")
        for _ in 0..<2 {
            let finished = try kappa.run("append", input: "{}\n")
            #expect(finished.code == 74, "\(finished)")
            #expect(
                finished.errors.contains("user_totals@1 has applied the events below offset 200"),
                "\(finished)")
            let opened = await #expect(throws: KappaError.self) {
                _ = try await Kappa.open(kappa.data.path, views: ViewSet([]))
            }
            #expect(opened?.code == .damaged)
        }
        let run = try kappa.run("run", "--until-caught-up")
        #expect(run.code != 0, "\(run)")
        _ = try kappa.shell("rm -r data/views data/catalog.db*")
        let after = try kappa.run("append", input: "{}\n")
        #expect(after.code == 0, "\(after)")
    }

    @Test("a segment that is cut or removed under an open writer is not written to")
    func underWriter() throws {
        for removes in [false, true] {
            let folder = try VersionsFolder()
            try folder.append(ticks: 10)
            let path = SegmentFiles.path(folder.data.log, .zero)
            if removes { unlink(path) } else { truncate(path, 20) }
            let error = #expect(throws: KappaError.self) { try folder.append(ticks: 1) }
            #expect(error?.code == .damaged)
            #expect(error?.place == (removes ? path : "\(path), byte 20"))
            #expect(access(path, F_OK) == (removes ? -1 : 0))
        }
    }

    @Test("damage ends run with 74, with file, byte and offset")
    func runMeets() throws {
        let kappa = try program()
        _ = try kappa.shell(
            "printf X | dd of=data/log/00000000000000000000.log bs=1 seek=2000 conv=notrunc")
        let run = try kappa.run("rebuild", "user_totals")
        #expect(run.code == 74, "\(run)")
        #expect(run.errors.contains("00000000000000000000.log, byte 0, offset 0"), "\(run)")
    }

    @Test(
        "log verify reports bytes past the end, and reports a gap there as a loss"
    )
    func pastEnd() throws {
        let kappa = try KappaProgram()
        try kappa.generate(100)
        let sound = try kappa.run("log", "verify", "--format", "json")
        #expect(sound.output.contains(#""past_end":0"#) && sound.errors == "", "\(sound)")
        _ = try kappa.shell("head -c 300 /dev/urandom >> data/log/00000000000000000000.log")
        let torn = try kappa.run("log", "verify", "--format", "json")
        #expect(torn.code == 0 && torn.output.contains(#""past_end":300"#), "\(torn)")
        #expect(torn.errors.contains("past the log's end"), "\(torn)")
        #expect(try kappa.run("append", input: "{}\n").code == 0)
        _ = try kappa.shell(": > data/log/00000000000000000101.log")
        let begun = try kappa.run("log", "verify")
        #expect(begun.code == 0 && begun.errors.contains("00000000000000000101.log"), "\(begun)")
        _ = try kappa.shell(
            "mv data/log/00000000000000000101.log data/log/00000000000000000500.log")
        let gap = try kappa.run("log", "verify")
        #expect(gap.code == 74 && gap.errors.contains("offset 500"), "\(gap)")
        let append = try kappa.run("append", input: "{}\n")
        #expect(append.code == 74, "\(append)")
    }

    @Test("a block with too many or too few events in its header is damage for every reader")
    func counts() throws {
        for count in [1, 5, 1_000, 4_000_000_000] {
            let folder = try VersionsFolder()
            try folder.append(ticks: 3)
            try Self.rewrite(folder.data.log, events: count)
            let kappa = try KappaProgram()
            for command in ["read", "verify"] {
                let read = try kappa.run("log", command, "--data", folder.data.path)
                #expect(read.code == 74, "\(count): \(read)")
                #expect(
                    read.errors.contains("00000000000000000000.log, byte 0, offset 0"),
                    "\(count): \(read)")
                #expect(command == "verify" || read.output == "")
            }
            let sealed = try kappa.run("log", "seal", "--data", folder.data.path)
            #expect(sealed.code == 74, "\(count): \(sealed)")
            let error = #expect(throws: KappaError.self) { try folder.catchUp([tally("a")]) }
            #expect(error == nil || error?.code == .damaged)
        }
    }

    /// Gives the only block of a log another number of events, with checksums that fit.
    private static func rewrite(_ log: String, events: Int) throws {
        let path = SegmentFiles.path(log, .zero)
        let file = OpenFile(try SystemFiles().open(path, O_RDWR), path: path)
        var bytes = [UInt8](repeating: 0, count: file.size)
        _ = try bytes.withUnsafeMutableBytes { try file.read($0, at: 0) }
        var header = try #require(bytes.withUnsafeBytes { BlockHeader($0) })
        let payload = bytes[(header.size + header.runsSize)...]
        header.events = events
        var runs: [UInt8] = []
        IngestionRun(events: events, ingestedAtMicros: 1).encode(into: &runs)
        header.runsSize = runs.count
        let whole = header.encoded(runs: runs) + payload
        try SystemFiles().write(file.descriptor, whole, at: 0)
        let head = LogHead(
            nextOffset: Offset(UInt64(events)), segment: .zero, segmentBytes: whole.count,
            digest: header.digestAfter)
        let headFile = try SystemFiles().open(LogHead.path(log), O_RDWR)
        defer { close(headFile) }
        try SystemFiles().write(headFile, head.encoded, at: 0)
    }

    @Test("offsets that no log can have are damage, not a trap")
    func offsets() throws {
        for offset in [UInt64.max, UInt64.max - 2, UInt64(Int64.max), 1 << 62] {
            let folder = try VersionsFolder()
            try folder.append(ticks: 3)
            let path = LogHead.path(folder.data.log)
            let file = try SystemFiles().open(path, O_RDWR)
            defer { close(file) }
            let head = LogHead(
                nextOffset: Offset(offset), segment: .zero, segmentBytes: 300, digest: .empty)
            try SystemFiles().write(file, head.encoded, at: 0)
            let kappa = try KappaProgram()
            for command in ["log info", "log read", "log verify", "status", "append"] {
                let finished = try kappa.start(
                    command.split(separator: " ").map(String.init) + ["--data", folder.data.path]
                ).wait()
                #expect(
                    CommandLines.codes.contains(finished.code), "\(offset) \(command): \(finished)")
            }
        }
    }

    @Test(
        "a command that waits for a lock longer than five seconds says who holds it",
        .enabled(if: KappaProgram.succeeds("flock --version"), "needs flock"))
    func stopped() throws {
        let kappa = try KappaProgram()
        try kappa.generate(10)
        let lock = kappa.data.log + "/lock"
        let holder = try KappaProgram.Child(
            ["/usr/bin/flock", "-o", lock, "/bin/sleep", "60"], in: kappa.folder.path, input: nil,
            environment: [:])
        try waitFor("the lock is held") { LockWatch.holder(of: lock)?.pid == holder.pid }
        holder.signal(SIGSTOP)
        let append = try kappa.start(["append"], input: "{}\n")
        try waitFor("the holder is named") { append.errors.contains("resumes it") }
        #expect(
            append.errors.contains("waiting for process \(holder.pid) (/usr/bin/flock -o"),
            "\(append.errors)")
        #expect(
            append.errors.contains("it is stopped: `kill -CONT \(holder.pid)` resumes it"),
            "\(append.errors)")
        _ = try kappa.shell("pkill -P \(holder.pid) sleep")
        holder.signal(SIGKILL)
        holder.signal(SIGCONT)
        let finished = try append.wait()
        #expect(finished.code == 0, "\(finished)")
        _ = try? holder.wait()
    }
}
