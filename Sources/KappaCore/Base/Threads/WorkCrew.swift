import CKappa
import Synchronization

/// A few threads that work in parallel with the caller.
///
/// The threads start when first needed and end with the crew. If none can be started, the caller does
/// all of the work.
final class WorkCrew {
    private struct State {
        var job: (@Sendable () -> Void)?
        /// Counts the jobs, so that a helper takes part in each only once.
        var number = 0
        var atWork = 0
        var isEnded = false
    }

    private let state = Monitor(State())
    private var helpers: Int
    private var threads: [WorkerThread] = []

    /// A crew of `hands` threads, counting the caller's: by default as many as there are cores.
    init(hands: Int = Int(kappa_core_count())) { helpers = max(0, hands - 1) }

    deinit { end() }

    /// Does `count` pieces and returns when all are done. A thread that is free takes the next piece, so
    /// several threads may call `body` at once, for different pieces.
    func run(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
        guard count > 1, helpers > 0 else {
            for piece in 0..<count { body(piece) }
            return
        }
        let counter = PieceCounter()
        let work: @Sendable () -> Void = {
            while let piece = counter.next(below: count) { body(piece) }
        }
        run(work, beside: work)
    }

    /// Has all helpers run `job` while the caller does something else, and waits for them.
    fileprivate func run(_ job: @escaping @Sendable () -> Void, beside own: () throws -> Void)
        rethrows
    {
        if threads.isEmpty { start() }
        state.withLock { state in
            state.job = job
            state.number += 1
        }
        defer {
            // From here on no helper joins in; wait for those that have.
            state.withLock { $0.job = nil }
            state.wait { $0.atWork == 0 ? () : nil }
        }
        try own()
    }

    private func start() {
        let state = state
        threads = (0..<helpers).compactMap { _ in
            try? WorkerThread("kappa-crew") { Self.help(state) }
        }
        helpers = threads.count
    }

    private static func help(_ state: Monitor<State>) {
        var done = 0
        while true {
            let job = state.wait { state -> (@Sendable () -> Void)?? in
                if state.isEnded { return .some(nil) }
                guard let job = state.job, state.number != done else { return nil }
                done = state.number
                state.atWork += 1
                return .some(job)
            }
            guard let job else { return }
            job()
            state.withLock { $0.atWork -= 1 }
        }
    }

    /// Ends the threads, and returns when they have released what they held.
    fileprivate func end() {
        state.withLock { $0.isEnded = true }
        for thread in threads { thread.join() }
        threads = []
    }
}

/// Hands out the numbers of pieces.
private final class PieceCounter: Sendable {
    private let piece = Atomic<Int>(0)

    func next(below count: Int) -> Int? {
        let piece = piece.add(1, ordering: .relaxed).oldValue
        return piece < count ? piece : nil
    }
}

/// Does pieces of work on several threads, whose results the caller takes in order.
///
/// While the next result is not ready, the caller does pieces, too.
enum OrderedWork {
    private struct State<Slot> {
        var free: [Slot]
        let pieces: Int
        private var nextToMake = 0
        private var nextToTake = 0
        private var made: [Int: Result<Slot, any Error>] = [:]
        private var isEnded = false

        init(_ free: [Slot], _ pieces: Int) {
            self.free = free
            self.pieces = pieces
        }

        var isOver: Bool { isEnded || nextToMake == pieces }

        /// A piece to make, and the slot to make it in. Pieces are begun in order.
        mutating func begin() -> (piece: Int, slot: Slot)? {
            guard !isOver, let slot = free.popLast() else { return nil }
            nextToMake += 1
            return (nextToMake - 1, slot)
        }

        mutating func finish(_ piece: Int, _ result: Result<Slot, any Error>) {
            made[piece] = result
        }

        mutating func takeNext() -> Result<Slot, any Error>? {
            guard let result = made.removeValue(forKey: nextToTake) else { return nil }
            nextToTake += 1
            return result
        }

        mutating func end() { isEnded = true }
    }

    private enum Next<Slot> {
        case take(Result<Slot, any Error>)
        case make(Int, Slot)
    }

    /// Makes and takes all pieces, or throws the first error in the order of the pieces; later pieces
    /// may then never be made.
    /// - Parameters:
    ///   - slots: What pieces are made in. They are reused; give more of them than there are threads.
    ///   - threads: How many make pieces, counting the caller's.
    static func run<Slot: Sendable>(
        pieces: Int, slots: [Slot], threads: Int,
        make: @Sendable (Int, Slot) throws -> Void, take: (Slot) throws -> Void
    ) throws {
        let state = Monitor(State(slots, pieces))
        try withoutActuallyEscaping(make) { make in
            let crew = WorkCrew(hands: threads)
            defer { crew.end() }
            try crew.run(
                { help(state, make) },
                beside: {
                    defer { state.withLock { $0.end() } }
                    try takeAll(state, pieces, make, take)
                })
        }
    }

    private static func takeAll<Slot: Sendable>(
        _ state: Monitor<State<Slot>>, _ pieces: Int, _ make: (Int, Slot) throws -> Void,
        _ take: (Slot) throws -> Void
    ) throws {
        var taken = 0
        while taken < pieces {
            let next = state.wait { state -> Next<Slot>? in
                if let result = state.takeNext() { return .take(result) }
                return state.begin().map { .make($0.piece, $0.slot) }
            }
            switch next {
            case .make(let piece, let slot):
                let result = Result { try make(piece, slot) }.map { slot }
                state.withLock { $0.finish(piece, result) }
            case .take(let result):
                let slot = try result.get()
                try take(slot)
                state.withLock { $0.free.append(slot) }
                taken += 1
            }
        }
    }

    private static func help<Slot: Sendable>(
        _ state: Monitor<State<Slot>>, _ make: @Sendable (Int, Slot) throws -> Void
    ) {
        while true {
            let next = state.wait { state -> (piece: Int, slot: Slot)?? in
                if state.isOver { return .some(nil) }
                return state.begin().map { .some($0) }
            }
            guard let (piece, slot) = next else { return }
            let result = Result { try make(piece, slot) }.map { slot }
            state.withLock { $0.finish(piece, result) }
        }
    }
}
