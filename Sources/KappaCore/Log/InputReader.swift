import Glibc

/// Reads a file or a pipe ahead on its own thread: while one batch is made durable, the next one arrives. A
/// batch is whatever has arrived when the next one is requested.
final class InputReader: Sendable {
    private struct State {
        var bytes: [UInt8] = []
        var isEnded = false
        var failure: IOFailure?
        var isCancelled = false
        /// Counts the polls in which nothing arrived.
        var idleMoments = 0
    }

    enum Delivery {
        case bytes([UInt8])
        /// Nothing has arrived for a moment; more may.
        case nothing
        case end
    }

    private let state = Monitor(State())
    private let thread: WorkerThread

    private static let mostBytes = 8 << 20
    private static let readBytes = 1 << 20
    private static let idleMilliseconds: Int32 = 200

    init(_ input: Int32) throws(KappaError) {
        let state = state
        thread = try WorkerThread("kappa-input") {
            var chunk = [UInt8](repeating: 0, count: Self.readBytes)
            while Self.step(input, &chunk, state) {}
        }
    }

    deinit { state.withLock { $0.isCancelled = true } }

    /// Reads once; false at the end.
    private static func step(
        _ input: Int32, _ chunk: inout [UInt8], _ state: Monitor<State>
    ) -> Bool {
        let mayRead = state.wait { state -> Bool? in
            if state.isCancelled { return false }
            return state.bytes.count < mostBytes ? true : nil
        }
        guard mayRead else { return false }
        var wanted = pollfd(fd: input, events: Int16(POLLIN), revents: 0)
        guard poll(&wanted, 1, idleMilliseconds) != 0 else {
            state.withLock { $0.idleMoments += 1 }
            return true
        }
        let count = Glibc.read(input, &chunk, chunk.count)
        let number = errno
        if count < 0, number == EINTR { return true }
        state.withLock { state in
            if count > 0 { state.bytes += chunk[0..<count] }
            if count < 0 { state.failure = IOFailure("read", number) }
            state.isEnded = count <= 0
        }
        return count > 0
    }

    /// Waits for input, and returns what has arrived since the last call.
    func next() throws(IOFailure) -> Delivery {
        let before = state.withLock { $0.idleMoments }
        let (delivery, failure) = state.wait { state -> (Delivery, IOFailure?)? in
            if !state.bytes.isEmpty {
                defer { state.bytes = [] }
                return (.bytes(state.bytes), nil)
            }
            if state.isEnded { return (.end, state.failure) }
            return state.idleMoments != before ? (.nothing, nil) : nil
        }
        if let failure { throw failure }
        return delivery
    }
}
