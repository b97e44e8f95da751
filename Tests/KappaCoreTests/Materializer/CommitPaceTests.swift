import KappaTesting
import Testing

@testable import KappaCore

@Suite("When live rows are committed")
struct CommitPaceTests {
    /// The same rule, from the list of all arrivals.
    private func slowWait(_ arrivals: [Int], _ interval: Int, at now: Int, lastCommit: Int) -> Int {
        let recent = arrivals.filter { $0 > now - 320 }
        return recent.count >= 16 ? max(0, lastCommit + interval - now) : 0
    }

    @Test("a commit waits only while sixteen batches have come in the last 320 ms")
    func random() {
        for seed in Seeds.random(20) {
            var random = SplitMix(state: seed)
            let interval = random.pick([0, 50, 100, 1_000])
            var pace = CommitPace(intervalMilliseconds: interval)
            var (now, lastCommit) = (1_000_000, 1_000_000)
            var arrivals: [Int] = []
            var longest = 1
            for _ in 0..<2_000 {
                if random.chance(1, in: 40) { longest = random.pick([1, 4, 12, 40, 400]) }
                now += random.below(longest)
                if random.chance(2, in: 3) {
                    arrivals.append(now)
                    pace.arrived(at: now)
                }
                let wait = pace.wait(at: now, lastCommit: lastCommit)
                #expect(
                    wait == slowWait(arrivals, interval, at: now, lastCommit: lastCommit),
                    "KAPPA_SEED=\(seed)")
                if wait == 0 { lastCommit = now }
            }
        }
    }

    @Test("events that come one by one and seldom are committed at once; a steady stream is not")
    func streams() {
        func commits(every gap: Int, events: Int) -> Int {
            var pace = CommitPace(intervalMilliseconds: 50)
            var (now, lastCommit, commits) = (1_000_000, 0, 0)
            for _ in 0..<events {
                now += gap
                pace.arrived(at: now)
                if pace.wait(at: now, lastCommit: lastCommit) == 0 {
                    commits += 1
                    lastCommit = now
                }
            }
            return commits
        }
        #expect(commits(every: 50, events: 100) == 100)
        #expect(commits(every: 22, events: 100) == 100)
        // The first fifteen are no stream yet.
        #expect((35...37).contains(commits(every: 1, events: 1_050)))
    }
}
