import CKappa
import Glibc

/// A lock around some state, and a way to wait until the state is as one needs it: for threads that
/// block.
///
/// Whoever changes the state looks for those that wait whether it is now as they need it, and wakes
/// them alone. A thread that sleeps is not disturbed by changes that are none of its business.
///
/// `@unchecked Sendable`: the state and the list of those that wait are only ever touched by the thread
/// that holds the mutex, which stays at one address for as long as the monitor lives. What a thread
/// waits for is looked at by others while it sleeps, and by itself before and after, never by two at
/// once.
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

    /// Looks at the state or changes it, and wakes whoever waited for what it is now.
    package func withLock<R, E: Error>(_ body: (inout State) throws(E) -> R) throws(E) -> R {
        pthread_mutex_lock(mutex)
        defer { unlock() }
        return try body(&state)
    }

    /// Waits until `body` returns something. While this thread sleeps, others call it, holding the lock.
    package func wait<R>(until body: (inout State) -> R?) -> R {
        while true { if let result = wait(nanoseconds: -1, body) { return result } }
    }

    /// Waits until `body` returns something; nil where it does not in that time.
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

    /// Unlocks with one more that sleeps; `body`, which it waits for, has been asked just now.
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

    /// Those for whom the state is as they need it, first come, first served. What one of them takes or
    /// gives may be what another one waits for: so all are asked again.
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

/// A thread that sleeps until something holds for a monitor's state.
private final class Sleeper<State> {
    /// Whether it holds; nil from when it did. It is used with the monitor's lock held.
    private var test: ((inout State) -> Bool)?
    private let alarm = kappa_make_wake()

    init(_ test: @escaping (inout State) -> Bool) { self.test = test }
    deinit { kappa_free_wake(alarm) }

    func isSatisfied(by state: inout State) -> Bool {
        guard let test, test(&state) else { return false }
        forget()
        return true
    }

    /// Nothing of the thread that sleeps is held from here on.
    func forget() { test = nil }

    func wake() { kappa_wake_up(alarm) }

    /// False where the time is over.
    func sleep(_ nanoseconds: Int64) -> Bool { kappa_sleep(alarm, nanoseconds) }
}
