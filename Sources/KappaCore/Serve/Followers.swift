/// Reads the changes of views for all of their followers, on one thread.
///
/// The thread works in rounds. In each, a follower whose view has changed, or that has more to read, gets one
/// step, as long as it has room. So no follower waits for a slow one. A round checks the catalog and each
/// version's file once, however many followers there are. The thread ends when the last follower is gone.
final class Followers: Sendable {
    /// A follower that the thread has yet to take over.
    fileprivate struct Added {
        let view: String
        let start: FollowStart
        let buffer: ChangeBuffer
    }

    fileprivate struct State {
        var added: [Added] = []
        /// A reader has room again, or is gone.
        var isSignalled = false
        var hasThread = false
        var isClosing = false
        var closers: [CheckedContinuation<Void, Never>] = []
    }

    private let data: DataFolder
    private let defined: WorkedOutViews
    private let state = Monitor(State())

    /// How often to check for commits: nothing signals them.
    private static let lookTime = Duration.milliseconds(5)
    /// After closing, a reader that has started reading must take at least one change within this time.
    private static let graceTime = Duration.seconds(5)

    /// - Parameter defined: The views of this build.
    init(_ data: DataFolder, defined: WorkedOutViews) {
        self.data = data
        self.defined = defined
    }

    /// The changes of a view.
    func follow(_ view: String, from start: FollowStart) -> ChangeStream {
        let buffer = ChangeBuffer(view) { [weak self] in
            self?.state.withLock { $0.isSignalled = true }
        }
        let (isClosing, needsThread) = state.withLock { state in
            if state.isClosing { return (true, false) }
            state.added.append(Added(view: view, start: start, buffer: buffer))
            defer { state.hasThread = true }
            return (false, !state.hasThread)
        }
        if isClosing {
            buffer.finish(.failure(KappaError.closed(data.path)))
        } else if needsThread {
            startThread()
        }
        return ChangeStream(buffer)
    }

    /// Ends all streams after what is committed now, and returns when all of their files are closed. A reader
    /// that takes nothing in the meantime gets an error instead of the rest.
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

    private func startThread() {
        do throws(KappaError) {
            _ = try WorkerThread("kappa-follow") { self.work() }
        } catch {
            let (added, closers) = state.withLock { $0.end() }
            for follower in added { follower.buffer.finish(.failure(error)) }
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
            for follower in added { views.add(follower) }
            isBusy = views.goRound(isClosing: isClosing, isSignalled: isWoken || !added.isEmpty)
            if views.isEmpty, endIfIdle() { return }
        }
    }

    /// Ends the thread unless a follower was added in the meantime.
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
        added: [Followers.Added], closers: [CheckedContinuation<Void, Never>]
    ) {
        defer {
            hasThread = false
            added = []
            closers = []
        }
        return (added, closers)
    }
}

/// The followed views and their followers. Only the reading thread uses it.
private final class FollowedViews {
    private final class Follower {
        let buffer: ChangeBuffer
        let changes: ChangeFollower
        /// How often its task had asked at the last check for progress.
        var asked = 0
        /// Whether there may be something for it to read.
        var hasMore = true

        init(_ buffer: ChangeBuffer, _ changes: ChangeFollower) {
            self.buffer = buffer
            self.changes = changes
        }
    }

    private struct Followed {
        var followers: [Follower] = []
        var live: VersionNumber?
        /// Why nothing new will come, if that is so; thrown once all there is has been read.
        var standstill: KappaError?
        /// The files' change counters at the last check.
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

    func add(_ follower: Followers.Added) {
        let (view, buffer) = (follower.view, follower.buffer)
        do {
            let versions = try versions ?? FollowedVersions(Catalog(data))
            self.versions = versions
            try versions.catalog.requireView(view, among: defined.names)
            // Without a live version nothing would ever come.
            if let error = defined.error(of: view), try versions.catalog.live(view) == nil {
                throw error
            }
            var followed =
                try views[view]
                ?? Followed(
                    live: versions.catalog.live(view),
                    standstill: versions.catalog.standstill(of: view))
            followed.followers.append(
                Follower(buffer, ChangeFollower(view, versions, from: follower.start)))
            followed.hasMore = true
            views[view] = followed
        } catch {
            buffer.finish(.failure(error))
            closeIfEmpty()
        }
    }

    /// Gives each follower with something to read, and room for it, one step; true if some have more to read.
    /// - Parameters:
    ///   - isClosing: Later commits need not be delivered any more.
    ///   - isSignalled: Whether readers have come, gone, or taken something.
    func goRound(isClosing: Bool, isSignalled: Bool) -> Bool {
        // Look once more for what was committed before the closing.
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

    /// Ends the followers whose tasks have asked for nothing since the last call. Called while closing.
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

    /// Reads for one follower; true if the follower has ended.
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

    /// Closes all files when no follower is left.
    private func closeIfEmpty() {
        guard views.isEmpty else { return }
        versions = nil
        seenCatalog = nil
    }
}

extension KappaError {
    /// The error of calls made after ``Kappa/close()``.
    static func closed(_ folder: String) -> KappaError {
        KappaError(
            .usage, "this Kappa is closed", at: folder, because: "close() was called",
            advice: "Open the folder again")
    }

    fileprivate static func closedUnread(_ folder: String) -> KappaError {
        KappaError(
            .usage, "this Kappa is closed, and changes were not read to their end", at: folder,
            because: "close() was called, and this stream's task did not read the last changes",
            advice: "Open the folder again and follow the view from its beginning")
    }
}
