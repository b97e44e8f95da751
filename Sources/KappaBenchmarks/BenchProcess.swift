import Glibc
import KappaCore

/// A child process of this program, with other arguments.
struct BenchProcess {
    let pid: pid_t
    private let output: Int32

    init(_ arguments: [String]) throws(KappaError) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else {
            throw KappaError(.inputOutput, "cannot open a pipe for a measurement")
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        defer { posix_spawn_file_actions_destroy(&actions) }
        var words: [UnsafeMutablePointer<CChar>?] =
            (["kappa-bench"] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, "/proc/self/exe", &actions, nil, &words, environ)
        close(ends[1])
        guard code == 0 else {
            throw KappaError(
                .inputOutput, "cannot start a measurement",
                because: String(cString: strerror(code)))
        }
        self.pid = pid
        output = ends[0]
    }

    /// Its output, once it has ended; nil if it failed.
    func finish() -> String? {
        var text: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = read(output, &chunk, chunk.count)
            if count <= 0 { break }
            text += chunk[..<count]
        }
        close(output)
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        return status == 0 ? String(decoding: text, as: UTF8.self) : nil
    }

    func kill() {
        Glibc.kill(pid, SIGKILL)
        _ = finish()
    }
}
