import CKappa
import Glibc

/// Waits for the log to grow. The Linux-specific part (inotify, eventfd) is in this file.
package final class LogWatcher: Sendable {
    private let notifications: Int32
    private let cancellation: Int32
    private let headFile: OpenFile

    /// How often the log's head is read when no notification arrives, in milliseconds.
    private static let pollMilliseconds: Int32 = 1_000

    package init(_ folder: String) throws(KappaError) {
        headFile = try OpenFile(reading: LogHead.path(folder))
        notifications = inotify_init1(Int32(IN_NONBLOCK) | Int32(IN_CLOEXEC))
        cancellation = kappa_eventfd()
        // Without it, ``cancel()`` could not end a wait.
        guard cancellation >= 0 else {
            let failure = IOFailure("eventfd", errno)
            if notifications >= 0 { close(notifications) }
            throw failure.error("cannot wait for the log to grow", at: folder)
        }
        // Without inotify (no watches left) the slow poll still finds new events.
        if notifications >= 0 {
            inotify_add_watch(notifications, headFile.path, UInt32(IN_MODIFY))
        }
    }

    deinit {
        if notifications >= 0 { close(notifications) }
        close(cancellation)
    }

    /// Blocks until the durable end is past `offset`, ``cancel()`` is called, or the timeout expires.
    /// - Throws: `.inputOutput` where the head is removed or replaced meanwhile.
    package func wait(past offset: Offset, timeoutMilliseconds: Int? = nil) throws(KappaError) {
        let clock = ContinuousClock()
        let end = timeoutMilliseconds.map { clock.now + .milliseconds($0) }
        while true {
            drain()
            if let head = try LogHead.read(headFile), head.nextOffset > offset { return }
            var slice = Self.pollMilliseconds
            if let end {
                let left = clock.now.duration(to: end)
                if left <= .zero { return }
                // Rounded up, so that the last slice does not spin.
                if left < .milliseconds(slice) { slice = Int32(left / .milliseconds(1)) + 1 }
            }
            var waits = [
                pollfd(fd: cancellation, events: Int16(POLLIN), revents: 0),
                pollfd(fd: notifications, events: Int16(POLLIN), revents: 0),
            ]
            let ready = poll(&waits, 2, slice)
            if ready > 0, waits[0].revents != 0 { return }
            if ready == 0 { try requireItsName() }
        }
    }

    /// A head that was removed or replaced says nothing about what is appended from then on.
    /// - Throws: `.inputOutput`, as opening the log again may well succeed.
    private func requireItsName() throws(KappaError) {
        guard let loss = headFile.nameLoss else { return }
        throw KappaError(
            .inputOutput, "the log cannot be followed", at: headFile.path,
            because: loss,
            advice: "Put the folder back, or start again: the log recovers when it is opened")
    }

    /// Ends the current wait and every later one.
    package func cancel() {
        var one: UInt64 = 1
        _ = write(cancellation, &one, 8)
    }

    private func drain() {
        var events = [UInt8](repeating: 0, count: 4_096)
        while notifications >= 0, read(notifications, &events, events.count) > 0 {}
    }
}
