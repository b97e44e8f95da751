import Glibc
import KappaCore

/// Replays in a child process of the same program. Swift gives each process a different hash seed, so
/// whatever depends on the order of a Set or Dictionary turns out differently.
enum OtherProcess {
    static func replay(
        _ replay: Replay, in data: DataFolder, progress: ScratchVersion.Progress
    ) throws {
        let complaints = replay.file + ".err"
        defer { unlink(complaints) }
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else {
            throw IOFailure("pipe", errno).error("cannot replay in another process", at: data.path)
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { close(ends[0]) }
        let child: pid_t
        do {
            defer { close(ends[1]) }
            child = try start(
                [
                    "kappa", "replay-aside", "\(replay.id)", "--data", data.path, "--file",
                    replay.file, "--until", "\(replay.end)",
                ], output: ends[1], errors: complaints)
        }
        var isReaped = false
        defer {
            if !isReaped {
                kill(child, SIGKILL)
                waitpid(child, nil, 0)
            }
        }
        try follow(ends[0], to: replay.end, progress)
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        isReaped = true
        if status == 0 { return }
        let said = text(of: complaints)
        throw KappaError(
            .inputOutput, "the replay in another process has failed", at: "\(replay.id)",
            because: said.isEmpty ? "it ended with status \(status)" : said)
    }

    /// Reads the child's progress until it has ended.
    private static func follow(
        _ pipe: Int32, to end: Offset, _ progress: ScratchVersion.Progress
    ) throws {
        var offset = Offset.zero
        var line: [UInt8] = []
        var bytes = [UInt8](repeating: 0, count: 4_096)
        while true {
            try progress(offset, end)
            var wanted = pollfd(fd: pipe, events: Int16(POLLIN), revents: 0)
            guard poll(&wanted, 1, 100) > 0 else { continue }
            let count = read(pipe, &bytes, bytes.count)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { return }
            for byte in bytes[0..<count] {
                if byte != 0x0A {
                    line.append(byte)
                    continue
                }
                offset = UInt64(String(decoding: line, as: UTF8.self)).map { Offset($0) } ?? offset
                line.removeAll()
            }
        }
    }

    private static func start(
        _ words: [String], output: Int32, errors: String
    ) throws(KappaError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_addopen(&actions, 2, errors, O_CREAT | O_WRONLY | O_TRUNC, 0o644)
        var arguments = words.map { strdup($0) } + [nil]
        var variables = environment().map { strdup($0) } + [nil]
        defer { for text in arguments + variables { free(text) } }
        var child = pid_t()
        let code = posix_spawn(&child, "/proc/self/exe", &actions, nil, &arguments, &variables)
        guard code == 0 else {
            throw IOFailure("posix_spawn", code).error(
                "cannot replay in another process", at: "/proc/self/exe")
        }
        return child
    }

    /// This process's environment with two changes that show in the rows of a view that depends on them: a
    /// random hash seed and a different time zone.
    private static func environment() -> [String] {
        var variables: [String] = []
        var next = environ
        while let variable = next.pointee {
            let text = String(cString: variable)
            let isOurs = ["SWIFT_DETERMINISTIC_HASHING=", "TZ="].contains { text.hasPrefix($0) }
            if !isOurs { variables.append(text) }
            next += 1
        }
        // Far from the local zone, and not a real one.
        var now = time(nil)
        var here = tm()
        localtime_r(&now, &here)
        return variables + [here.tm_gmtoff < 0 ? "TZ=KAPPA-9:43" : "TZ=KAPPA+9:43"]
    }

    private static func text(of path: String) -> String {
        guard let file = try? SystemFiles().open(path, O_RDONLY) else { return "" }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = read(file, &bytes, bytes.count)
        let text = String(decoding: bytes[0..<max(0, count)], as: UTF8.self)
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }
}
