import Glibc
import Synchronization

/// A few threads that do pieces of one job side by side, while the caller does some of them, too.
///
/// The threads are made when first needed and end with the crew. Where none can be made, the caller does
/// all pieces.
final class WorkCrew {
    /// One job: its pieces are taken one after another by whoever is free.
    private final class Job: Sendable {
        let count: Int
        let body: @Sendable (Int) -> Void
        private let next = Atomic<Int>(0)

        init(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
            self.count = count
            self.body = body
        }

        func work() {
            while true {
                let piece = next.add(1, ordering: .relaxed).oldValue
                guard piece < count else { return }
                body(piece)
            }
        }
    }

    private struct State {
        var job: Job?
        /// Counts the jobs, so that a helper takes part in each only once.
        var number = 0
        var atWork = 0
        var isEnded = false
    }

    private let state = Monitor(State())
    private var helpers: Int
    private var threads: [WorkerThread] = []

    /// A crew with as many hands as there are cores, the caller's among them.
    init() { helpers = max(0, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))) - 1) }

    deinit {
        state.withLock { $0.isEnded = true }
        for thread in threads { thread.join() }
    }

    /// Does `count` pieces and returns when all are done. `body` may be called on several threads at
    /// once, for different pieces.
    func run(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
        guard count > 1, helpers > 0 else {
            for piece in 0..<count { body(piece) }
            return
        }
        if threads.isEmpty { start() }
        let job = Job(count, body)
        state.withLock { state in
            state.job = job
            state.number += 1
        }
        job.work()
        // Nobody joins in from here on; who has joined in is waited for.
        state.withLock { $0.job = nil }
        state.wait { $0.atWork == 0 ? () : nil }
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
            let job = state.wait { state -> Job?? in
                if state.isEnded { return .some(nil) }
                guard let job = state.job, state.number != done else { return nil }
                done = state.number
                state.atWork += 1
                return .some(job)
            }
            guard let job else { return }
            job.work()
            state.withLock { $0.atWork -= 1 }
        }
    }
}
