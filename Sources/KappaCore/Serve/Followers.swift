/// Reads the changes of views for all who follow them, on one thread.
///
/// The thread goes round: whose view has changed, or who has more to read, gets one step, as far as there is
/// room for it. So nobody waits for a slow reader. It looks once at the catalog and at each version's
/// file, however many follow it; it ends when nobody follows.
final class Followers: Sendable {
    fileprivate struct State {
        var added: [(view: String, buffer: ChangeBuffer)] = []
        /// A reader has room again, or has gone.
        var isSignalled = false
        var hasThread = false
        var isClosing = false
        var closers: [CheckedContinuation<Void, Never>] = []
    }

    private let data: DataFolder
    private let defined: WorkedOutViews
    private let state = Monitor(State())

    /// Between two looks for commits, which have no wake-up call.
    private static let lookTime = Duration.milliseconds(5)
    /// How long a reader that has begun has, once nothing more comes, to take something of what it has not
    /// read.
    private static let graceTime = Duration.seconds(5)

    /// - Parameter defined: This build's views.
    init(_ data: DataFolder, defined: WorkedOutViews) {
        self.data = data
        self.defined = defined
    }

    /// The changes of a view from its first row on.
    func follow(_ view: String) -> ChangeStream {
        let buffer = ChangeBuffer(view) { [weak self] in
            self?.state.withLock { $0.isSignalled = true }
        }
        let (isClosing, needsThread) = state.withLock { state in
            if state.isClosing { return (true, false) }
            state.added.append((view, buffer))
            defer { state.hasThread = true }
            return (false, !state.hasThread)
        }
        if isClosing {
            buffer.finish(.failure(KappaError.closed(data.path)))
        } else if needsThread {
            start()
        }
        return ChangeStream(buffer)
    }

    /// Ends all streams with what was committed until now, and returns when nothing of them is open any
    /// more. Who does not read meanwhile gets an error instead of the rest.
    func close() async {
        await withCheckedContinuation { closer in
            let hasThread = state.withLock { state in
                state.isClosing = true
                if state.hasThread { state.closers.append(closer) }
                return state.hasThread
            }
            if !hasThread { closer.resume() }
        }
    }

    private func start() {
        do throws(KappaError) {
            _ = try WorkerThread("kappa-follow") { self.work() }
        } catch {
            let (added, closers) = state.withLock { $0.end() }
            for (_, buffer) in added { buffer.finish(.failure(error)) }
            for closer in closers { closer.resume() }
        }
    }

    private func work() {
        let views = FollowedViews(data, defined: defined)
        var isBusy = false
        while true {
            let wait: Duration = isBusy ? .zero : views.isClosing ? Self.graceTime : Self.lookTime
            let isWoken =
                state.wait(atMost: wait) { $0.isWoken(views.isClosing) ? true : nil } ?? false
            if views.isClosing, !isWoken, !isBusy { views.cutOff() }
            let (added, isClosing) = state.withLock { state in
                defer { state.takeWork() }
                return (state.added, state.isClosing)
            }
            for (view, buffer) in added { views.add(view, buffer) }
            isBusy = views.goRound(isClosing: isClosing, isSignalled: isWoken || !added.isEmpty)
            if views.isEmpty, endIfIdle() { return }
        }
    }

    /// Ends the thread where nobody has come meanwhile.
    private func endIfIdle() -> Bool {
        let (isOver, closers) = state.withLock { state in
            guard state.added.isEmpty else {
                return (false, [CheckedContinuation<Void, Never>]())
            }
            return (true, state.end().closers)
        }
        for closer in closers { closer.resume() }
        return isOver
    }
}

extension Followers.State {
    fileprivate func isWoken(_ knowsOfClosing: Bool) -> Bool {
        isSignalled || !added.isEmpty || (isClosing && !knowsOfClosing)
    }

    fileprivate mutating func takeWork() {
        added = []
        isSignalled = false
    }

    fileprivate mutating func end() -> (
        added: [(view: String, buffer: ChangeBuffer)], closers: [CheckedContinuation<Void, Never>]
    ) {
        defer {
            hasThread = false
            added = []
            closers = []
        }
        return (added, closers)
    }
}

/// The views that are followed and who follows them, on the thread that reads.
private final class FollowedViews {
    private final class Follower {
        let buffer: ChangeBuffer
        let changes: ChangeFollower
        /// How often its task had asked when it was last looked whether it still does.
        var asked = 0
        /// Whether there may be something to read for it.
        var hasMore = true

        init(_ buffer: ChangeBuffer, _ changes: ChangeFollower) {
            self.buffer = buffer
            self.changes = changes
        }
    }

    private struct Followed {
        var followers: [Follower] = []
        var live: VersionNumber?
        /// Why nothing new will come, where that is so: told when all that there is has been read.
        var standstill: KappaError?
        /// What the files' counters were when they were last looked at.
        var counters: [VersionNumber: Int64] = [:]
        var hasMore = true
    }

    private let data: DataFolder
    private let defined: WorkedOutViews
    private var versions: FollowedVersions?
    private var views: [String: Followed] = [:]
    private var seenCatalog: Int64?
    private(set) var isClosing = false

    init(_ data: DataFolder, defined: WorkedOutViews) {
        self.data = data
        self.defined = defined
    }

    var isEmpty: Bool { views.isEmpty }

    func add(_ view: String, _ buffer: ChangeBuffer) {
        do {
            let versions = try versions ?? FollowedVersions(Catalog(data))
            self.versions = versions
            try versions.catalog.requireView(view, among: defined.names)
            // Nothing would ever come.
            if let error = defined.error(of: view), try versions.catalog.live(view) == nil {
                throw error
            }
            var followed =
                try views[view]
                ?? Followed(
                    live: versions.catalog.live(view),
                    standstill: versions.catalog.standstill(of: view))
            followed.followers.append(
                Follower(buffer, ChangeFollower(view, versions, fromNow: false)))
            followed.hasMore = true
            views[view] = followed
        } catch {
            buffer.finish(.failure(error))
            closeIfEmpty()
        }
    }

    /// One step for each that has something to read and room for it; true where some have more.
    /// - Parameters:
    ///   - isClosing: Nothing is committed any more that they would have to get.
    ///   - isSignalled: Whether readers have come, gone, or taken something.
    func goRound(isClosing: Bool, isSignalled: Bool) -> Bool {
        // What was committed before it was closed is looked for once more.
        let isLastLook = isClosing && !self.isClosing
        self.isClosing = isClosing
        do {
            try look(atAll: isLastLook)
        } catch {
            for followed in views.values {
                for follower in followed.followers { follower.buffer.finish(.failure(error)) }
            }
            views = [:]
        }
        var isBusy = false
        for (name, var followed) in views where followed.hasMore || isSignalled || isClosing {
            var hasMore = false
            let view = followed
            followed.followers.removeAll { step($0, view, &hasMore) }
            followed.hasMore = hasMore
            isBusy = isBusy || followed.hasMore
            views[name] = followed.followers.isEmpty ? nil : followed
        }
        closeIfEmpty()
        return isBusy
    }

    /// Ends those whose tasks have taken nothing since this was last called, where nothing more comes.
    func cutOff() {
        for (name, var followed) in views {
            followed.followers.removeAll { follower in
                let asked = follower.buffer.asked
                defer { follower.asked = asked }
                guard asked == follower.asked else { return false }
                follower.buffer.finish(.failure(KappaError.closedUnread(data.path)))
                return true
            }
            views[name] = followed.followers.isEmpty ? nil : followed
        }
        closeIfEmpty()
    }

    /// Finds out which views have changed.
    private func look(atAll: Bool) throws {
        guard let versions else { return }
        let counter = try versions.catalog.changeCounter()
        for (view, var followed) in views {
            var hasChanged = atAll
            if counter != seenCatalog {
                let live = try versions.catalog.live(view)
                hasChanged = hasChanged || live != followed.live
                followed.live = live
                followed.standstill = try versions.catalog.standstill(of: view)
                hasChanged = hasChanged || followed.standstill != nil
            }
            let counters = try versions.changeCounters(of: view)
            if counters != followed.counters { hasChanged = true }
            followed.counters = counters
            if hasChanged {
                followed.hasMore = true
                for follower in followed.followers { follower.hasMore = true }
            }
            views[view] = followed
        }
        seenCatalog = counter
    }

    /// Reads for one follower; true where it is done with.
    private func step(
        _ follower: Follower, _ view: Followed, _ hasMore: inout Bool
    ) -> Bool {
        if follower.buffer.isEnded { return true }
        if follower.hasMore {
            var room = follower.buffer.room()
            guard room.isLeft else {
                guard isClosing, follower.buffer.asked == 0 else { return false }
                follower.buffer.finish(.failure(KappaError.closedUnread(data.path)))
                return true
            }
            do {
                follower.hasMore = try follower.changes.step(view.live, &room) {
                    try follower.buffer.put($0)
                }
            } catch {
                follower.buffer.finish(.failure(error))
                return true
            }
        }
        if follower.hasMore {
            hasMore = true
        } else if let standstill = view.standstill {
            follower.buffer.finish(.failure(standstill))
            return true
        } else if isClosing {
            follower.buffer.finish(.success(()))
            return true
        }
        return false
    }

    /// Without anybody to read for, nothing stays open.
    private func closeIfEmpty() {
        guard views.isEmpty else { return }
        versions = nil
        seenCatalog = nil
    }
}

extension KappaError {
    /// What calls get after ``Kappa/close()``.
    static func closed(_ folder: String) -> KappaError {
        KappaError(
            .usage, "this Kappa is closed", at: folder, because: "close() was called",
            advice: "Open the folder again")
    }

    fileprivate static func closedUnread(_ folder: String) -> KappaError {
        KappaError(
            .usage, "this Kappa is closed, and changes were not read to their end", at: folder,
            because: "close() was called, and this stream's task did not take what had come",
            advice: "Open the folder again and follow the view anew")
    }
}
