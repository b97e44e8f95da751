/// Pieces of work that several threads do side by side, and whose results the caller takes in order.
///
/// The caller does pieces, too, where the next one to take is not ready.
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

        /// A piece to make, and what to make it in; pieces are begun in order.
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

    /// Has all pieces made and taken, or throws the first error in their order; then some were not made.
    /// - Parameters:
    ///   - slots: What pieces are made in, used again and again: more than there are threads.
    ///   - threads: How many make pieces, the caller's thread among them.
    static func run<Slot: Sendable>(
        pieces: Int, slots: [Slot], threads: Int,
        make: @Sendable (Int, Slot) throws -> Void, take: (Slot) throws -> Void
    ) throws {
        let state = Monitor(State(slots, pieces))
        try withoutActuallyEscaping(make) { make in
            // Without helpers, the caller makes all pieces.
            let helpers = (1..<max(1, threads)).compactMap { _ in
                try? WorkerThread("kappa-help") { help(state, make) }
            }
            defer {
                state.withLock { $0.end() }
                for helper in helpers { helper.join() }
            }
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
