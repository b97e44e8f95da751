import Foundation
import Glibc
import Testing

@testable import KappaCore

/// What a runner takes for a version it gives back when that version's work ends.
@Suite("A thousand switches")
struct SwitchLeakTests {
    private let folder: VersionsFolder

    init() throws {
        folder = try VersionsFolder()
        try folder.append(ticks: 20)
    }

    private struct Use: CustomStringConvertible {
        var descriptors: Int
        var threads: Int
        var kilobytes: Int
        var description: String {
            "\(descriptors) descriptors, \(threads) threads, \(kilobytes) kB"
        }

        /// Of this test's folder only: other tests run beside it.
        init(of folder: String) throws {
            let files = FileManager.default
            let all = try files.contentsOfDirectory(atPath: "/proc/self/fd")
            descriptors = all.count { name in
                (try? files.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(name)"))?
                    .hasPrefix(folder) == true
            }
            threads = try files.contentsOfDirectory(atPath: "/proc/self/task").count
            let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
            let resident = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
            kilobytes = Int(resident?.split(separator: " ").dropLast().last ?? "") ?? 0
        }
    }

    @Test(
        "promotions and rollbacks by another process leave no descriptor, thread or memory behind")
    func switches() throws {
        try folder.catchUp([tally("a")])
        try folder.catchUp([tally("a")], rebuilds: true)
        let build = try RunningBuild(folder.data, [tally("a"), tally("x", named: "more")])
        let catalog = try folder.catalog()
        func switchOver(_ times: Range<Int>) throws {
            for time in times {
                let live = try catalog.live("tally")?.rawValue ?? 0
                let next = VersionID("tally", VersionNumber(3 - live))
                _ = try Promotion(catalog).rollBack(["tally"])
                // An event wakes it up.
                try folder.append(ticks: 1, first: time)
                try build.until("\(next) is followed") {
                    Lease.holder(of: next, in: folder.data) != nil
                }
            }
        }
        try switchOver(0..<30)
        let before = try Use(of: folder.data.path)
        try switchOver(30..<Self.count)
        let after = try Use(of: folder.data.path)
        #expect(after.descriptors <= before.descriptors + 20, "\(before), then \(after)")
        try build.stop()
        #expect(Lease.holder(of: VersionID("tally", VersionNumber(1)), in: folder.data) == nil)
    }

    private static let count = getenv("KAPPA_SWITCHES").flatMap { Int(String(cString: $0)) } ?? 130
}
