import Glibc

/// The files of two replays of the same definition.
struct ReplayPair {
    let here: String
    let there: String

    init(in scratch: ScratchFolder, _ number: Int) {
        here = "\(scratch.path)/here-\(number).db"
        there = "\(scratch.path)/there-\(number).db"
    }

    /// Copies the files of another pair, to which nobody writes.
    func copy(of other: ReplayPair) throws {
        for (from, to) in [(other.here, here), (other.there, there)] {
            for suffix in ["", "-wal"] where access(from + suffix, F_OK) == 0 {
                try FileCopy.copy(from + suffix, to: to + suffix)
            }
        }
    }

    func remove() {
        for file in [here, there] {
            for suffix in ["", "-wal", "-shm"] { unlink(file + suffix) }
            NewVersionFile.removeLeftovers(file)
            SpilledRuns.remove(file)
        }
    }
}

/// Finds the first event at which two replays diverge, by bisection.
///
/// Each step continues from copies of the files as of the last agreement, so all steps together cost about
/// one more replay. A nondeterministic definition diverges at a different event on each run. The result is
/// the first event at which two replays that had agreed up to there were seen to diverge.
final class PartingSearch {
    typealias Parting = (offset: Offset, finding: Discrepancy)

    private let scratch: ScratchFolder
    private let end: Offset
    private let replay: (ReplayPair, Offset) throws -> Void
    private let compare: (ReplayPair) throws -> Discrepancy?
    /// The last offset at which the two were seen to agree, and their files there; nil at offset zero.
    private var alike = Offset.zero
    private var base: ReplayPair?
    private var number = 0

    /// How often to try the step over one event, since two replays may agree by chance.
    private static let attempts = 8
    /// How often to continue the search after an offset at which the two did not diverge again.
    private static let rounds = 50

    /// - Parameters:
    ///   - replay: Advances a pair of files to an offset, from zero if they do not exist.
    ///   - compare: Returns the first difference between the two.
    init(
        in scratch: ScratchFolder, end: Offset,
        replay: @escaping (ReplayPair, Offset) throws -> Void,
        compare: @escaping (ReplayPair) throws -> Discrepancy?
    ) {
        self.scratch = scratch
        self.end = end
        self.replay = replay
        self.compare = compare
    }

    /// - Parameter known: The difference that was found at the end.
    func run(_ known: Discrepancy) throws -> Parting {
        var parting: Parting = (end, known)
        for _ in 0..<Self.rounds {
            if let found = try narrow(parting) { return found }
            // They diverged by chance, which may happen again later in the log.
            guard alike < end, let found = try finding(at: end, keepsAlike: false) else { break }
            parting = (end, found)
        }
        return (alike, parting.finding)
    }

    /// Bisects between the last agreement and the divergence down to one event; nil if the two do not diverge
    /// at that event again.
    private func narrow(_ parting: Parting) throws -> Parting? {
        var parted = parting.offset
        while parted - alike > 1 {
            let middle = alike + (parted - alike) / 2
            if try finding(at: middle) != nil { parted = middle }
        }
        let event = alike
        for attempt in 1...Self.attempts {
            let isLast = attempt == Self.attempts
            if let found = try finding(at: parted, keepsAlike: isLast) { return (event, found) }
        }
        return nil
    }

    /// Advances the two from their last agreement to an offset, and compares them. If they agree there too,
    /// the next step continues from there.
    private func finding(at offset: Offset, keepsAlike: Bool = true) throws -> Discrepancy? {
        number += 1
        let pair = ReplayPair(in: scratch, number)
        if let base { try pair.copy(of: base) }
        try replay(pair, offset)
        let found = try compare(pair)
        if found == nil, keepsAlike {
            base?.remove()
            base = pair
            alike = offset
        } else {
            pair.remove()
        }
        return found
    }
}
