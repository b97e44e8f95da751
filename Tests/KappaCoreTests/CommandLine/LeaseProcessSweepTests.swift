import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// Like LeaseSweepTests, with processes that are killed: KAPPA_SEED repeats a sequence, KAPPA_STEPS makes it
/// longer.
@Suite("Whichever process is killed, another that stands by takes over")
struct LeaseProcessSweepTests {
    private let kappa: KappaProgram
    private static let steps = getenv("KAPPA_STEPS").flatMap { Int(String(cString: $0)) } ?? 5
    private static let views = ["user_totals", "action_counts"]

    init() throws { kappa = try KappaProgram() }

    @Test(
        "after any sequence of kills and switches, a run keeps live versions current")
    func sequences() throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        var story = ""
        try kappa.generate(500)
        var runs = [try kappa.start(["run"])]
        try waitFor("the first follows") { runs[0].errors.contains("author_streaks@1: live since") }
        for step in 0..<Self.steps {
            let view = Self.views.randomElement(using: &random) ?? ""
            let id = try Catalog(kappa.data).entries(of: view).filter { !$0.isLive }
                .randomElement(using: &random)?.id
            var words: [String] = []
            switch Int.random(in: 0..<8, using: &random) {
            case 0 where runs.count < 3, 1 where runs.count < 2:
                story += "start a run\n"
                runs.append(try kappa.start(["run"]))
            case 0, 1, 2:
                let run = runs.remove(at: .random(in: 0..<runs.count, using: &random))
                let isKilled = Bool.random(using: &random)
                story += "\(isKilled ? "kill" : "stop") a run\n"
                run.signal(isKilled ? SIGKILL : SIGTERM)
                let ended = try run.wait()
                #expect(ended.code == (isKilled ? 137 : 0), "\(ended)\n\(story) KAPPA_SEED=\(seed)")
                if runs.isEmpty { runs.append(try kappa.start(["run"])) }
            case 3:
                story += "kill a rebuild of \(view)\n"
                let rebuild = try kappa.start(["rebuild", view])
                usleep(.random(in: 5_000...80_000, using: &random))
                rebuild.signal(SIGKILL)
                _ = try rebuild.wait()
            case 4: words = ["rebuild", view]
            case 5: words = ["rollback", view]
            case 6: words = id.map { ["promote", "\($0)"] } ?? ["gc"]
            default: words = id.map { ["abort", "\($0)"] } ?? ["gc", "--keep", "0"]
            }
            if !words.isEmpty {
                let ended = try kappa.start(words).wait()
                story += "\(words) ended with \(ended.code)\n"
                #expect([0, 1, 64, 66, 75].contains(ended.code), "\(ended)\n\(story)")
            }
            try kappa.generate(20, seed: 2 + step)
            do { try waitFor("all that is live is followed") { try isCurrent() } } catch {
                let status = try kappa.run("status")
                let said = runs.map(\.errors).joined(separator: "\n-- the next run\n")
                Issue.record("KAPPA_SEED=\(seed)\n\(story)\(status)\n\(said)")
                throw error
            }
        }
        for run in runs { run.signal(SIGTERM) }
        for run in runs { #expect(try run.wait().code == 0, "\(story) KAPPA_SEED=\(seed)") }
        #expect(try kappa.run("gc", "--keep", "0").code == 0)
        #expect(LeftoverTests.strays(in: kappa.data) == [], "\(story) KAPPA_SEED=\(seed)")
    }

    /// Each live version is at the log's end, and no other version is held except those being built.
    private func isCurrent() throws -> Bool {
        let end = try LogReader(kappa.data.log).durableEnd()
        return try Catalog(kappa.data).entries().allSatisfy { entry in
            let isHeld = Lease.holder(of: entry.id, in: kappa.data) != nil
            guard entry.isLive else { return !isHeld || entry.isOnItsWay }
            let stored = try VersionReader(kappa.data.file(entry.id)).checkpoint().offset
            // The file of a version that takes none of the events lags.
            return isHeld && Lease.position(of: entry.id, atLeast: stored, in: kappa.data) == end
        }
    }
}
