import CKappa
import Glibc

/// A lock around some state, with a way to wait until the state meets a condition; for threads that may
/// block.
///
/// A thread that changes the state checks the conditions of all waiting threads, and wakes only those
/// whose condition now holds. So a sleeping thread is not woken by changes that do not concern it.
///
/// `@unchecked Sendable`: only the thread that holds the mutex touches the state and the list of waiting
/// threads, and the mutex stays at one address for the monitor's lifetime. A thread's condition is
/// evaluated by other threads while it sleeps, and by the thread itself before and after, never by two
/// at once.
package final class Monitor<State>: @unchecked Sendable {
    private var state: State
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    /// Threads that sleep, in the order in which they came.
    private var sleepers: [Sleeper<State>] = []

    package init(_ state: sending State) {
        self.state = state
        pthread_mutex_init(mutex, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    /// Reads or changes the state, then wakes the threads whose condition it now meets.
    package func withLock<R, E: Error>(_ body: (inout State) throws(E) -> R) throws(E) -> R {
        pthread_mutex_lock(mutex)
        defer { unlock() }
        return try body(&state)
    }

    /// Waits until `body` returns something. While this thread sleeps, other threads call `body`,
    /// holding the lock.
    package func wait<R>(until body: (inout State) -> R?) -> R {
        while true { if let result = wait(nanoseconds: -1, body) { return result } }
    }

    /// Waits until `body` returns something; nil where it does not within that time.
    package func wait<R>(atMost time: Duration, until body: (inout State) -> R?) -> R? {
        let (seconds, attoseconds) = time.components
        let whole = min(max(seconds, 0), 1_000_000_000)
        return wait(nanoseconds: whole * 1_000_000_000 + attoseconds / 1_000_000_000, body)
    }

    private func wait<R>(nanoseconds: Int64, _ body: (inout State) -> R?) -> R? {
        pthread_mutex_lock(mutex)
        if let result = body(&state) {
            unlock()
            return result
        }
        var result: R?
        withoutActuallyEscaping(body) { body in
            let sleeper = Sleeper<State> { state in
                result = body(&state)
                return result != nil
            }
            fallAsleep(sleeper)
            if sleeper.sleep(nanoseconds) { return }
            pthread_mutex_lock(mutex)
            sleepers.removeAll { $0 === sleeper }
            sleeper.forget()
            pthread_mutex_unlock(mutex)
        }
        return result
    }

    /// Adds a sleeper and unlocks. The caller has just evaluated the sleeper's condition.
    private func fallAsleep(_ sleeper: Sleeper<State>) {
        var woken = sleepers.isEmpty ? [] : takeSatisfied()
        sleepers.append(sleeper)
        if !woken.isEmpty { woken += takeSatisfied() }
        pthread_mutex_unlock(mutex)
        for sleeper in woken { sleeper.wake() }
    }

    private func unlock() {
        if sleepers.isEmpty {
            pthread_mutex_unlock(mutex)
            return
        }
        let woken = takeSatisfied()
        pthread_mutex_unlock(mutex)
        for sleeper in woken { sleeper.wake() }
    }

    /// Removes and returns the sleepers whose condition holds, first come, first served. A condition may
    /// change the state in a way that another one waits for, so all are evaluated again.
    private func takeSatisfied() -> [Sleeper<State>] {
        var woken: [Sleeper<State>] = []
        var index = 0
        var tookOne = false
        while index < sleepers.count {
            if sleepers[index].isSatisfied(by: &state) {
                woken.append(sleepers.remove(at: index))
                tookOne = true
            } else {
                index += 1
            }
            if index == sleepers.count, tookOne {
                index = 0
                tookOne = false
            }
        }
        return woken
    }
}

/// A thread that sleeps until a condition holds for a monitor's state.
private final class Sleeper<State> {
    /// The condition; nil once it has held. It is used only with the monitor's lock held.
    private var test: ((inout State) -> Bool)?
    private let alarm = kappa_make_wake()

    init(_ test: @escaping (inout State) -> Bool) { self.test = test }
    deinit { kappa_free_wake(alarm) }

    func isSatisfied(by state: inout State) -> Bool {
        guard let test, test(&state) else { return false }
        forget()
        return true
    }

    /// Releases what the condition holds of the sleeping thread.
    func forget() { test = nil }

    func wake() { kappa_wake_up(alarm) }

    /// False on a timeout.
    func sleep(_ nanoseconds: Int64) -> Bool { kappa_sleep(alarm, nanoseconds) }
}
