import Glibc

/// The files of two replays.
struct ReplayPair {
    let here: String
    let there: String

    init(in scratch: ScratchFolder, _ number: Int) {
        here = "\(scratch.path)/here-\(number).db"
        there = "\(scratch.path)/there-\(number).db"
    }

    /// Makes these files copies of other ones, which nobody writes to.
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

/// Finds the first event at which two replays part, by halving.
///
/// Both go on from copies of where they were last seen to agree, so that all the halves together cost
/// about one more replay. A nondeterministic definition diverges at a different event on each run: what
/// is found is the first event at which two replays of it, alike until then, were seen to part.
final class PartingSearch {
    typealias Parting = (offset: Offset, finding: Discrepancy)

    private let scratch: ScratchFolder
    private let end: Offset
    private let replay: (ReplayPair, Offset) throws -> Void
    private let compare: (ReplayPair) throws -> Discrepancy?
    /// Up to where the two were last seen to agree, and their files there; nil at offset zero.
    private var alike = Offset.zero
    private var base: ReplayPair?
    private var number = 0

    /// Chance may let two replays agree: so often a step from one event to the next is tried.
    private static let attempts = 8
    /// So often the search goes on behind a place where the two would not part again.
    private static let rounds = 50

    /// - Parameters:
    ///   - replay: Brings a pair of files to an offset, from zero where they are not there.
    ///   - compare: The first thing that the two hold differently.
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

    /// - Parameter known: What the two were seen to hold differently at the end.
    func run(_ known: Discrepancy) throws -> Parting {
        var parting: Parting = (end, known)
        for _ in 0..<Self.rounds {
            if let found = try narrow(parting) { return found }
            // What parted them was chance: it may strike again further on.
            guard alike < end, let found = try finding(at: end, keepsAlike: false) else { break }
            parting = (end, found)
        }
        return (alike, parting.finding)
    }

    /// Halves what lies between agreement and parting down to one event; nil if at that one the two
    /// do not part again.
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

    /// Brings the two from where they agree to an offset, and compares. If they agree there, too, they
    /// go on from there the next time.
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
