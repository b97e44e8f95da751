import Glibc
import KappaCore

/// Another build of the program, which `kappa why` asks for the side whose definition only that build has.
final class OtherBuild {
    /// An event that touched the row in the other build, and the row after it.
    struct Step {
        var offset: Offset
        var row: JSONValue?
    }

    private let command: [String]
    private let pid: pid_t
    private var output: UnsafeMutablePointer<FILE>?
    private var line: UnsafeMutablePointer<CChar>?
    private var capacity = 0

    /// Starts a program with these arguments, which make it print records of `kappa why` as JSON.
    init(_ program: String, _ arguments: [String]) throws(KappaError) {
        command = [program] + arguments
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw Self.failure(program, errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        // This process blocks signals for its signal thread; the child must not inherit that.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var words = command.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var pid = pid_t()
        let code = posix_spawnp(&pid, program, &actions, &attributes, &words, environ)
        close(ends[1])
        guard code == 0 else {
            close(ends[0])
            throw Self.failure(program, code)
        }
        self.pid = pid
        output = fdopen(ends[0], "r")
    }

    deinit {
        free(line)
        stop()
    }

    private static func failure(_ program: String, _ code: Int32) -> KappaError {
        KappaError(
            .notFound, "the other build cannot be started", at: program,
            because: String(cString: strerror(code)),
            advice: "Name its program with --with, such as ./kappa-before")
    }

    /// The next event; nil after the last.
    func next() throws(KappaError) -> Step? {
        guard let output else { return nil }
        let count = getline(&line, &capacity, output)
        guard count > 0, let line else {
            let status = stop()
            if status != 0 { throw failed(because: "it ended with \(status)") }
            return nil
        }
        let bytes = UnsafeRawBufferPointer(start: line, count: count)
        guard let json = try? JSONValue(parsing: bytes), case .number(let text)? = json["offset"],
            let offset = UInt64(text), case .object(let rows)? = json["rows"], rows.count == 1
        else { throw failed(because: "it printed a line that is not a record of `kappa why`") }
        let row = rows[0].value
        return Step(offset: Offset(offset), row: row == .null ? nil : row)
    }

    private func failed(because reason: String) -> KappaError {
        KappaError(
            .refused, "the other build cannot explain the row", at: command[0],
            because: reason, advice: "Run it alone: " + command.joined(separator: " "))
    }

    /// Ends the program, if it still runs, and returns its exit code.
    @discardableResult
    private func stop() -> Int32 {
        guard let output else { return 0 }
        self.output = nil
        // A program that writes to a pipe without a reader ends.
        fclose(output)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
    }
}
