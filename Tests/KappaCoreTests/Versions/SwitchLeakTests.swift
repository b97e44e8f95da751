import Foundation
import Glibc
import Testing

@testable import KappaCore

/// A runner releases a version's resources when the work on it ends. KAPPA_SWITCHES=1000 makes more switches.
@Suite("A thousand switches")
struct SwitchLeakTests {
    private let kappa: KappaProgram
    private static let count = getenv("KAPPA_SWITCHES").flatMap { Int(String(cString: $0)) } ?? 80

    init() throws { kappa = try KappaProgram() }

    /// The resources that a process holds.
    private struct Use: CustomStringConvertible {
        var descriptors: Int
        var threads: Int
        var kilobytes: Int
        var description: String {
            "\(descriptors) descriptors, \(threads) threads, \(kilobytes) kB"
        }

        init(of pid: pid_t) throws {
            let files = FileManager.default
            let place = "/proc/\(pid)"
            descriptors = try files.contentsOfDirectory(atPath: place + "/fd").count
            threads = try files.contentsOfDirectory(atPath: place + "/task").count
            let status = try String(contentsOfFile: place + "/status", encoding: .utf8)
            let resident = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
            kilobytes = Int(resident?.split(separator: " ").dropLast().last ?? "") ?? 0
        }
    }

    @Test(
        "promotions and rollbacks by another process leave no descriptor, thread or memory behind")
    func switches() throws {
        try kappa.generate(100)
        for _ in 1...2 { #expect(try kappa.run("rebuild", "user_totals").code == 0) }
        let run = try kappa.start(["run"])
        try waitFor("run follows") { run.errors.contains("author_streaks@1: live since") }
        let catalog = try Catalog(kappa.data)
        let writer = try LogWriter(kappa.data.log)
        var line = #"{"event_type":"nothing"}"#
        func switchOver(_ times: Int) throws {
            for _ in 0..<times {
                let live = try #require(try catalog.live("user_totals")?.rawValue)
                let next = VersionID("user_totals", VersionNumber(3 - live))
                _ = try Promotion(catalog).rollBack(["user_totals"])
                // An event wakes it up.
                _ = try line.withUTF8 {
                    try writer.append(try EventLines(UnsafeRawBufferPointer($0)))
                }
                let end = try LogReader(kappa.data.log).durableEnd()
                try waitFor("\(next) is followed") {
                    try VersionReader(kappa.data.file(next)).checkpoint().offset == end
                }
            }
        }
        /// The least of a few measurements: threads and files come and go with each commit.
        func use() throws -> Use {
            var least = try Use(of: run.pid)
            for _ in 0..<20 {
                Pause.briefly()
                let now = try Use(of: run.pid)
                least.descriptors = min(least.descriptors, now.descriptors)
                least.threads = min(least.threads, now.threads)
                least.kilobytes = min(least.kilobytes, now.kilobytes)
            }
            return least
        }
        try switchOver(20)
        let before = try use()
        try switchOver(Self.count)
        let after = try use()
        let comment: Comment = "\(before), then \(after)"
        #expect(after.descriptors <= before.descriptors + 2, comment)
        #expect(after.threads <= before.threads + 2, comment)
        #expect(after.kilobytes <= before.kilobytes + 20_000, comment)
        run.signal(SIGTERM)
        #expect(try run.wait().code == 0)
    }
}
