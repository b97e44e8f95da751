import Glibc
import KappaCore
import KappaTesting
import Testing

/// The folder of reference data beside the package; it is not part of the repository.
enum EventsShared {
    static let folder: String = {
        if let folder = Seeds.environment("KAPPA_SHARED") { return folder }
        let package = #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
        return "/\(package)/../shared"
    }()

    static let isThere = access(folder + "/data/README.md", R_OK) == 0
    static let reason: Comment = "the reference data beside the package is not there"

    static let hasGit = system("git --version >/dev/null 2>&1") == 0

    /// The lines of a compressed file of events.
    static func events(_ name: String) throws -> [String] {
        try lines(try run("gunzip -c '\(folder)/data/\(name)'"))
    }

    /// The lines of an expected table, the header first.
    static func expected(_ view: String) throws -> [String] {
        try lines(try run("cat '\(folder)/data/expected/\(view).csv'"))
    }

    private static func lines(_ text: String) throws -> [String] {
        text.split(separator: "\n").map(String.init)
    }

    /// The output of a shell command, which must succeed.
    static func run(_ command: String) throws -> String {
        let pipe = try #require(popen(command, "r"))
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&chunk, 1, chunk.count, pipe)
            if count == 0 { break }
            bytes += chunk[0..<count]
        }
        try #require(pclose(pipe) == 0, "\(command) failed")
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension SplitMix {
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
    mutating func chance(_ one: Int, in all: Int) -> Bool { below(all) < one }
    mutating func pick<T>(_ choices: [T]) -> T { choices[below(choices.count)] }
}
