import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// Processes that build, promote and follow are killed at random moments while the test follows the changes
/// of the view.
@Suite("Following the changes of a view while its processes are killed")
struct KilledFollowingTests {
    @Test("the changes alone give exactly the rows, whatever is killed at whatever moment")
    func kills() async throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        let folder = try VersionsFolder()
        let always = try Mirror("latest", folder)
        let seldom = try Mirror("latest", folder)
        var build = 0
        try folder.catchUp([latest("d0", noting: nil)])
        for round in 0..<12 {
            try folder.append(
                (0..<Int.random(in: 50...400, using: &random)).map { _ in
                    Tick.line(
                        "k\(Int.random(in: 0..<60, using: &random))",
                        Int.random(in: -5...20, using: &random))
                })
            if Bool.random(using: &random) { build += 1 }
            let micros = Int.random(in: 1_000...300_000, using: &random)
            await #expect(processExitsWith: .signal(SIGKILL)) {
                [path = folder.data.path as String, build = build as Int, micros = micros as Int]
                in
                try Self.run(path, build, killedAfter: micros)
            }
            if round % 4 == 3 {
                _ = try? Promotion(folder.catalog()).rollBack(["latest"])
                build += 1
            }
            try check(always, folder, "round \(round), KAPPA_SEED=\(seed)")
        }
        try folder.catchUp([latest("d\(build + 1)", noting: "end")])
        try check(always, folder, "KAPPA_SEED=\(seed)")
        try check(seldom, folder, "KAPPA_SEED=\(seed)")
        #expect(always.promotions > 0, "KAPPA_SEED=\(seed)")
    }

    /// Runs a process that is killed.
    private static func run(_ path: String, _ build: Int, killedAfter micros: Int) throws {
        _ = try WorkerThread("test-killer") {
            usleep(UInt32(micros))
            kill(getpid(), SIGKILL)
        }
        var options = ViewRunner.Options()
        options.follows = true
        let view = latest("d\(build)", noting: build % 3 == 0 ? nil : "\(build % 3)")
        try ViewRunner(DataFolder(path), ViewSet([view]), options: options).run()
    }

    /// The rows made from the changes equal the live version's.
    private func check(_ mirror: Mirror, _ folder: VersionsFolder, _ comment: Comment) throws {
        try mirror.poll(mayGoBack: true)
        guard let live = try folder.catalog().live("latest") else { return }
        let wanted = try Mirror.rows(folder.reader("latest", live.rawValue))
        #expect(mirror.rows["latest"] ?? [:] == wanted["latest"] ?? [:], comment)
    }
}
