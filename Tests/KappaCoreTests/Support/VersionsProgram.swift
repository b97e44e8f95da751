import Foundation
import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// The built `kappa` program, in its own folder.
final class KappaProgram: Sendable {
    let folder: TemporaryFolder
    var data: DataFolder { DataFolder(folder.path + "/data") }

    init() throws { folder = try TemporaryFolder() }

    /// It is beside the test program.
    static let path: String = {
        var buffer = [CChar](repeating: 0, count: 4_096)
        let count = max(0, readlink("/proc/self/exe", &buffer, buffer.count))
        let own = String(decoding: buffer[0..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return own.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/kappa"
    }()

    /// Whether a line of `sh` exits with 0: for features that a machine may lack or forbid.
    static func succeeds(_ line: String) -> Bool {
        (try? KappaProgram().shell("{ \(line); } > /dev/null 2>&1").code) == 0
    }

    /// Starts the program; `input` is its standard input, nothing by default.
    func start(
        _ arguments: [String], input: String? = nil, environment: [String: String] = [:],
        program: String = KappaProgram.path
    ) throws -> Child {
        try Child(
            [program] + arguments, in: folder.path, input: input,
            environment: ["KAPPA_DATA": data.path].merging(environment) { $1 })
    }

    /// Runs the program to its end.
    @discardableResult
    func run(
        _ arguments: String..., input: String? = nil, environment: [String: String] = [:]
    ) throws -> Finished {
        try start(arguments, input: input, environment: environment).wait()
    }

    /// Runs a line of `sh`, in which `kappa` is the program.
    func shell(_ line: String, seconds: Double = 60) throws -> Finished {
        let bin = Self.path.split(separator: "/").dropLast().map { "/" + $0 }.joined()
        return try Child(
            ["/bin/sh", "-c", line], in: folder.path, input: nil,
            environment: ["KAPPA_DATA": data.path, "PATH": bin + ":/usr/bin:/bin"]
        ).wait(seconds: seconds)
    }

    /// Appends generated events of some users.
    func generate(_ count: Int, seed: Int = 1, users: Int = 50) throws {
        let events = try run(
            "generate", "user-events", "--count", "\(count)", "--seed", "\(seed)", "--users",
            "\(users)", "--disorder", "60")
        let appended = try run("append", input: events.output)
        #expect(appended.code == 0, "\(appended)")
    }

    /// How a program ended.
    struct Finished: CustomStringConvertible {
        var code: Int32
        var output: String
        var errors: String

        /// The JSON records that it printed.
        var records: [[String: any Sendable]] {
            output.split(separator: "\n").compactMap { line in
                let value = try? JSONSerialization.jsonObject(with: Data(line.utf8))
                return value as? [String: any Sendable]
            }
        }
        /// The keys of a record in the order of the text.
        var keys: [String] {
            guard let line = output.split(separator: "\n").first,
                let json = try? JSONValue(parsing: String(line)), case .object(let members) = json
            else { return [] }
            return members.map(\.key)
        }
        var lines: [String] { output.split(separator: "\n").map(String.init) }
        var description: String { "exit \(code)\n\(output)\n\(errors)" }
    }

    /// A process that was started.
    final class Child: Sendable {
        let pid: pid_t
        private let outputs: TemporaryFolder
        /// The write end of its standard input.
        let inputEnd: Int32?

        /// - Parameter input: Its standard input; nil is nothing, and "|" a pipe that stays open.
        init(
            _ words: [String], in folder: String, input: String?, environment: [String: String]
        ) throws {
            outputs = try TemporaryFolder()
            var inputPath = "/dev/null"
            if let input, input != "|" {
                inputPath = outputs.path + "/in"
                try Data(input.utf8).write(to: URL(fileURLWithPath: inputPath))
            }
            var actions = posix_spawn_file_actions_t()
            posix_spawn_file_actions_init(&actions)
            defer { posix_spawn_file_actions_destroy(&actions) }
            var ends: [Int32] = [-1, -1]
            if input == "|" {
                pipe(&ends)
                for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
                posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
            } else {
                posix_spawn_file_actions_addopen(&actions, 0, inputPath, O_RDONLY, 0)
            }
            inputEnd = input == "|" ? ends[1] : nil
            let flags = O_CREAT | O_WRONLY | O_TRUNC
            posix_spawn_file_actions_addopen(&actions, 1, outputs.path + "/out", flags, 0o644)
            posix_spawn_file_actions_addopen(&actions, 2, outputs.path + "/err", flags, 0o644)
            var attributes = posix_spawnattr_t()
            posix_spawnattr_init(&attributes)
            defer { posix_spawnattr_destroy(&attributes) }
            var none = sigset_t()
            sigemptyset(&none)
            posix_spawnattr_setsigmask(&attributes, &none)
            posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
            let base = ["PATH": "/usr/bin:/bin", "TMPDIR": folder]
            let variables = base.merging(environment) { $1 }.map { "\($0)=\($1)" }
            // The shell changes to the folder and then becomes the program.
            let shell = ["/bin/sh", "-c", #"cd "$0" && exec "$@""#, folder]
            var arguments = (shell + words).map { strdup($0) } + [nil]
            var values = variables.map { strdup($0) } + [nil]
            defer { for text in arguments + values { free(text) } }
            var pid = pid_t()
            let code = posix_spawn(&pid, shell[0], &actions, &attributes, &arguments, &values)
            if ends[0] >= 0 { close(ends[0]) }
            try #require(
                code == 0, "\(words[0]) cannot be started: \(String(cString: strerror(code)))")
            self.pid = pid
        }

        func signal(_ number: Int32) { kill(pid, number) }

        func write(_ text: String) {
            guard let inputEnd else { return }
            let bytes = Array(text.utf8)
            _ = Glibc.write(inputEnd, bytes, bytes.count)
        }

        func closeInput() { if let inputEnd { close(inputEnd) } }

        var output: String { text("out") }
        var errors: String { text("err") }

        private func text(_ name: String) -> String {
            let data = try? Data(contentsOf: URL(fileURLWithPath: "\(outputs.path)/\(name)"))
            return String(decoding: data ?? Data(), as: UTF8.self)
        }

        /// Waits for the end. The code is the exit code, or 128 plus the signal.
        func wait(seconds: Double = 60) throws -> Finished {
            var status: Int32 = 0
            do {
                try waitFor("process \(pid) ends", seconds: seconds) {
                    waitpid(pid, &status, WNOHANG) == pid
                }
            } catch {
                kill(pid, SIGKILL)
                waitpid(pid, &status, 0)
                throw error
            }
            let code = status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
            return Finished(code: code, output: output, errors: errors)
        }
    }
}
