/// When the changes of live versions are committed: at once while few events arrive, further apart while they
/// arrive steadily.
///
/// A commit writes whole pages, however few rows have changed. While events arrive one by one and often, a commit
/// for each would write hundreds of times their bytes.
struct CommitPace {
    /// How far apart commits are while events arrive steadily; 0 commits at once, always.
    var intervalMilliseconds: Int
    /// When the last batches arrived, in a ring.
    private var arrivals = [Int](repeating: .min / 2, count: Self.steadyBatches)
    private var next = 0

    /// This many batches in this time are a steady stream: more than fifty a second.
    private static let steadyBatches = 16
    private static let steadyMilliseconds = 320

    init(intervalMilliseconds: Int) { self.intervalMilliseconds = intervalMilliseconds }

    /// A batch was read, at a time in milliseconds.
    mutating func arrived(at now: Int) {
        arrivals[next] = now
        next = (next + 1) % Self.steadyBatches
    }

    /// How long a commit should wait; 0 to commit now.
    func wait(at now: Int, lastCommit: Int) -> Int {
        // The oldest of the last batches is where the next one goes.
        guard now - arrivals[next] < Self.steadyMilliseconds else { return 0 }
        return max(0, lastCommit + intervalMilliseconds - now)
    }
}
