import Glibc
import Testing

@testable import KappaCLI
@testable import KappaCore

/// Every command with every system call that can make it fail: each ends with a code and with the failure's
/// own message. Runs with `make test-faults`, if strace is installed.
@Suite(
    "Every command with every failing system call",
    .enabled(
        if: CommandLines.isLong && KappaProgram.succeeds("strace -f true"),
        "with make test-faults, needs strace"))
struct SystemCallSweepTests {
    /// The calls that are made to fail, and their errors.
    private static let faults: [(calls: String, errors: [String])] = [
        ("openat", ["EMFILE", "EACCES", "EIO"]),
        ("pread64,read", ["EIO"]),
        ("pwrite64,write", ["ENOSPC", "EIO", "EDQUOT"]),
        ("fsync,fdatasync", ["EIO", "ENOSPC"]),
        ("ftruncate", ["EIO", "ENOSPC"]),
        ("rename,unlink,mkdir,symlink", ["EACCES", "ENOSPC", "EROFS"]),
        ("mmap", ["ENOMEM"]),
    ]

    /// How many places of each call are tried, spread over all of them.
    private static let places = 4

    @Test("it ends with a code, and says what failed", arguments: CommandLines.specs.map(\.name))
    func sweep(name: String) throws {
        guard let spec = CommandLines.specs.first(where: { $0.name == name }), name != "tail",
            !spec.isHidden
        else { return }
        let kappa = try KappaProgram()
        try CommandLines.prepare(kappa)
        _ = try kappa.shell("cp -r data before")
        let line = CommandLines.words(spec).map(CommandLines.quoted).joined(separator: " ")
        for (calls, errors) in Self.faults {
            let (first, last) = try range(kappa, line, calls)
            guard first <= last else { continue }
            let step = max(1, (last - first) / Self.places)
            for error in errors {
                for place in stride(from: first, through: last, by: step) {
                    for count in ["\(place)", "\(place)+"] {
                        let what = "\(name): \(calls) \(error) when=\(count)"
                        let finished = try kappa.shell(
                            """
                            rm -rf data; cp -r before data
                            timeout -s KILL 60 strace -f -o /dev/null -e trace=\(calls) \
                            -e inject=\(calls):error=\(error):when=\(count) \
                            kappa \(line) < /dev/null > out
                            """)
                        try check(finished, what)
                    }
                }
            }
        }
    }

    private func check(_ finished: KappaProgram.Finished, _ what: String) throws {
        #expect(CommandLines.codes.contains(finished.code), "\(what): \(finished)")
        // If the failing call is the one that writes the message, there is none.
        let said = finished.errors
        if finished.code == 0 || said.isEmpty { return }
        #expect(!said.contains("there is no log here"), "\(what): \(said)")
        if said.contains("disk I/O error") || said.contains("unable to open database file") {
            #expect(said.contains(": "), "\(what): \(said)")
        }
    }

    /// The places of some calls in a run in which nothing fails: from the first that concerns the data
    /// folder to the last.
    private func range(
        _ kappa: KappaProgram, _ line: String, _ calls: String
    ) throws -> (Int, Int) {
        _ = try kappa.shell(
            """
            rm -rf data; cp -r before data
            strace -f -y -o calls.txt -e trace=\(calls) kappa \(line) < /dev/null > out
            """)
        let all = try CommandSweep.read(kappa.folder.path + "/calls.txt").split(separator: "\n")
            .filter { !$0.contains("resumed>") && $0.contains("(") }
        let first = all.firstIndex { $0.contains("/data/") || $0.contains("\"data") }
        return (first.map { $0 + 1 } ?? 1, first == nil ? 0 : all.count)
    }
}
