import Glibc
import KappaCore

/// Appends generated events to a log, at a steady pace, on its own thread.
final class DemoFeed: Sendable {
    private let writer: LogWriter
    private let state: Monitor<State>
    private let failure = Monitor<(any Error)?>(nil)

    private struct State {
        var generator: UserEventGenerator
        var isStopped = false
    }

    init(_ folder: DataFolder) throws {
        writer = try LogWriter(folder.log)
        state = Monitor(
            State(generator: UserEventGenerator(seed: 1, users: 50_000, disorderSeconds: 20)))
    }

    /// Appends many events at once.
    func append(_ count: Int) throws {
        var left = count
        while left > 0 {
            let piece = min(left, 50_000)
            let bytes = state.withLock { state in
                var bytes: [UInt8] = []
                state.generator.append(piece, to: &bytes)
                return bytes
            }
            let lines = try bytes.withUnsafeBytes { try EventLines($0) }
            _ = try writer.append(lines)
            left -= piece
        }
    }

    /// Appends about `perSecond` events a second until ``stop()``.
    func start(perSecond: Int) throws(KappaError) -> WorkerThread {
        try WorkerThread("demo-feed") {
            while !self.state.withLock({ $0.isStopped }) {
                do { try self.append(perSecond / 100) } catch {
                    self.failure.withLock { $0 = error }
                    return
                }
                usleep(10_000)
            }
        }
    }

    func stop() { state.withLock { $0.isStopped = true } }
    func check() throws { if let error = failure.withLock({ $0 }) { throw error } }
}
