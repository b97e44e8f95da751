/// Which versions a runner takes at first, which it takes over later, and what it does with those that stop.
extension ViewRunner {
    /// The targets of each post, from the last read of the catalog.
    private struct Duties {
        var counter: Int64 = -1
        var targets: [String: [VersionTarget]] = [:]
    }

    /// The result of one look.
    private struct Look {
        var taken: [Taken] = []
        /// Why a version was not taken.
        var held: KappaError?
        /// Whether a version may become free without a notification.
        var isWaiting = false
    }

    /// Takes the versions that a runner begins with.
    /// - Throws: `.heldElsewhere` if it does not follow and other processes hold all of them.
    func begin(_ catalog: Catalog) throws {
        var duties: Duties?
        var look = Look()
        try self.look(catalog, &duties, &look)
        // A process that cleans up holds a lease for a moment.
        for _ in 0..<Self.attempts where look.held != nil && !options.follows {
            Pause.forALook()
            look.held = nil
            try self.look(catalog, &duties, &look)
        }
        if let held = look.held, look.taken.isEmpty, !options.follows { throw held }
        try begin(look, catalog, memoryBytes: options.memoryBytes)
    }

    private static let attempts = 3

    private enum Next {
        case look, pause, over
    }

    /// Takes over the versions that become free, until nothing is left to do.
    func supervise(_ catalog: Catalog) throws {
        var isWaiting = options.follows
        var duties: Duties? = Duties()
        // What the catalog was when versions were last collected.
        var collected: Int64 = -1
        while true {
            let next = state.wait { state -> Next? in
                if state.isStopped { return .over }
                if !options.follows { return state.active == 0 ? .over : nil }
                if state.isOver { return .over }
                if state.mustLook {
                    state.mustLook = false
                    return .look
                }
                return isWaiting ? .pause : nil
            }
            switch next {
            case .over: return
            case .pause: Pause.forALook()
            case .look: duties?.counter = -1
            }
            saveFailures(catalog)
            let counter = try catalog.changeCounter()
            if counter != collected { collectVersions(catalog) }
            collected = counter
            isWaiting = try lookAround(catalog, &duties)
        }
    }

    /// Takes over the versions that are free; returns whether to look again soon.
    private func lookAround(_ catalog: Catalog, _ duties: inout Duties?) throws -> Bool {
        var look = Look()
        do {
            do { try self.look(catalog, &duties, &look) } catch let error as KappaError {
                // A busy catalog or a full disk: look again a little later.
                guard error.passes else { throw error }
                look.isWaiting = true
            }
            if !look.taken.isEmpty { duties?.counter = -1 }
            let share = options.memoryBytes / max(1, definitions.count)
            try begin(look, catalog, memoryBytes: share * look.taken.count)
            return look.isWaiting
        } catch let error as KappaError where error.passes {
            return true
        }
    }

    private func begin(_ look: Look, _ catalog: Catalog, memoryBytes: Int) throws {
        if look.taken.isEmpty { return }
        do { try start(look.taken, catalog, memoryBytes: memoryBytes) } catch {
            for taken in look.taken {
                taken.lease.release()
                released(taken.id, taken.definition)
            }
            throw error
        }
    }

    // MARK: Looking

    /// Takes the versions of this build's definitions that no process holds.
    /// - Parameter duties: What was looked up before; nil for the first look.
    private func look(
        _ catalog: Catalog, _ duties: inout Duties?, _ look: inout Look
    ) throws {
        let isFirst = duties == nil
        // Read the targets again only if the catalog has changed: that costs more than checking the leases.
        let counter = try catalog.changeCounter()
        if duties?.counter != counter { duties?.targets = [:] }
        duties?.counter = counter
        for post in state.withLock({ $0.posts }) {
            if isFirst, !post.working.isEmpty { continue }
            // Check without a transaction first: usually there is nothing to take.
            let isFree = try isFirst || self.isFree(post, catalog, &duties, &look)
            // A rollback may make a version live again, and sends no notification.
            if post.working.isEmpty { look.isWaiting = true }
            if isFree { try take(post, catalog, isFirst: isFirst, &look) }
        }
    }

    /// Whether there seems to be something to take.
    private func isFree(
        _ post: RunnerPost, _ catalog: Catalog, _ duties: inout Duties?, _ look: inout Look
    ) throws -> Bool {
        let name = post.definition.name
        let known: [VersionTarget]
        if let targets = duties?.targets[name] {
            known = targets
        } else {
            known = try VersionTarget.later(post, catalog)
            duties?.targets[name] = known
            change(post.definition) { $0.keepRetries(of: known, before: post) }
        }
        for target in known {
            guard let id = target.id else { return true }
            if post.working.contains(id) { continue }
            look.isWaiting = true
            if !post.isDue(id) { continue }
            guard let holder = Lease.holder(of: id, in: folder) else { return true }
            // The holder has not reported yet; it will in a moment.
            if holder.pid <= 0 { continue }
            noteHeld(id, post.definition, Lease.heldElsewhere(id, by: holder.pid, in: folder))
        }
        return false
    }

    private func targets(
        _ post: RunnerPost, _ catalog: Catalog, isFirst: Bool
    ) throws -> [VersionTarget] {
        isFirst
            ? try VersionTarget.first(post.definition, catalog, options)
            : try VersionTarget.later(post, catalog)
    }

    /// Takes the leases of the free versions.
    private func take(
        _ post: RunnerPost, _ catalog: Catalog, isFirst: Bool, _ look: inout Look
    ) throws {
        let definition = post.definition
        var reports: [Report] = []
        var crashes: [(entry: VersionEntry, stamp: CrashStamp)] = []
        // In one transaction, so that two processes never create a version each, and no other process takes a
        // new version before this one has its lease.
        let taken = try catalog.transaction {
            if isFirst { try catalog.failLostFiles(of: definition.name) }
            var taken: [Taken] = []
            for target in try targets(post, catalog, isFirst: isFirst) {
                if let id = target.id, post.working.contains(id) { continue }
                if let crash = try CrashRecovery.crash(
                    of: target, definition, catalog, rebuilds: options.rebuilds)
                {
                    crashes.append(crash)
                    continue
                }
                if let id = target.id, !post.isDue(id) {
                    look.isWaiting = true
                    continue
                }
                if target.id == nil { try catalog.failLostFiles(of: definition.name) }
                let id =
                    try target.id
                    ?? catalog.enter(
                        view: definition.name, digest: definition.digest)
                do throws(KappaError) {
                    let lease = try Lease(id, in: folder)
                    taken.append(
                        Taken(
                            id: id, definition: definition, lease: lease,
                            isLive: target.action == .keep, promotes: target.promotes,
                            isRebuild: target.isRebuild,
                            isRetry: post.retries[id] != nil))
                } catch {
                    guard error.code == .heldElsewhere else { throw error }
                    if taken.isEmpty { look.held = look.held ?? error }
                    look.isWaiting = true
                    noteHeld(id, definition, error)
                    continue
                }
                if options.rebuilds, options.end == nil {
                    try catalog.wantRebuild(id, promotes: options.promotes)
                }
                reports.append(.started(id, target.action))
            }
            return taken
        }
        look.taken += taken
        change(definition) { post in for taken in taken { post.begin(taken.id) } }
        // Earlier failures that could not be recorded no longer hold.
        for taken in taken { state.withLock { $0.unsaved.removeAll { $0.id == taken.id } } }
        for report in reports { tell(report) }
        for crash in crashes { try crashed(crash.entry, crash.stamp, definition, catalog) }
    }

    /// Records on which event a version's code crashes, also in the history. Readers of a live version keep
    /// seeing its rows.
    private func crashed(
        _ entry: VersionEntry, _ stamp: CrashStamp, _ definition: ViewDefinition,
        _ catalog: Catalog
    ) throws {
        let error = CrashRecovery.error(entry.id, stamp, in: folder)
        let reason = error.what + (error.reason.map { ": \($0)" } ?? "")
        try catalog.noteCrash(of: entry.id, reason, at: stamp.first)
        failed((entry.id, definition, entry.isLive), error, catalog) {}
    }

    /// Reports once that another process holds a version.
    private func noteHeld(_ id: VersionID, _ definition: ViewDefinition, _ error: KappaError) {
        let isNews = change(definition) { $0.heldElsewhere.insert(id).inserted }
        if isNews == true { tell(.heldElsewhere(id, error)) }
    }

    @discardableResult
    private func change<R>(
        _ definition: ViewDefinition, _ body: (inout RunnerPost) -> R
    ) -> R? {
        state.withLock { state in
            guard
                let index = state.posts.firstIndex(where: { $0.definition.name == definition.name })
            else { return nil }
            return body(&state.posts[index])
        }
    }

    // MARK: Versions that stop

    /// Makes the runner look for versions to take, because something has changed.
    func lookAgain() { state.withLock { $0.mustLook = true } }

    /// The work on a version and its lease have ended.
    func released(_ id: VersionID, _ definition: ViewDefinition) {
        change(definition) { _ = $0.working.remove(id) }
        lookAgain()
    }

    /// The work on a version has ended and is not to be resumed.
    func gaveUp(_ id: VersionID, _ definition: ViewDefinition) {
        change(definition) { $0.giveUp(id, nil, lastSwitch: 0) }
        lookAgain()
    }

    /// A version that was being retried works again.
    func recovered(_ id: VersionID, _ definition: ViewDefinition) {
        let wasTried = change(definition) { $0.retries.removeValue(forKey: id) != nil }
        if wasTried == true { tell(.recovered(id)) }
    }

    /// A version has stopped. If the reason is transient, it is retried for as long as the runner follows.
    /// - Parameter end: Ends its lease. It is called after the reason is recorded, so that the next holder
    ///   can read it.
    func failed(
        _ version: Stopped, _ error: any Error, _ catalog: Catalog, end: () -> Void
    ) {
        let error = error as? KappaError ?? KappaError(.bug, "\(error)", at: "\(version.id)")
        let isRetried = error.passes && options.follows
        // An error of the definition, or a damaged file, is not transient.
        let state: VersionState = version.isLive ? .live : error.passes ? .paused : .failed
        note(version, error, state, isRetried: isRetried, catalog)
        end()
        leave(version, error, isRetried: isRetried, catalog)
        if !isRetried { tell(.failed(version.id, error)) }
    }

    /// A whole group has stopped, because something that it shares, such as the log, has failed.
    func failed(
        _ versions: [Stopped], _ error: any Error, _ catalog: Catalog, end: () -> Void
    ) {
        let known = error as? KappaError ?? KappaError(.bug, "\(error)", at: folder.path)
        let isRetried = known.passes && options.follows
        // The versions are not at fault: they continue once the cause is fixed.
        for version in versions {
            let state: VersionState = version.isLive ? .live : .paused
            note(version, known, state, isRetried: isRetried, catalog)
        }
        end()
        for version in versions { leave(version, known, isRetried: isRetried, catalog) }
        if isRetried { return }
        let isLast = state.withLock { state in
            state.error = state.error ?? error
            return !options.follows || state.posts.allSatisfy(\.isLost)
        }
        // Report it now: it is thrown only when the whole run ends, which may be much later.
        if !isLast { for version in versions { tell(.failed(version.id, known)) } }
    }

    private func note(
        _ version: Stopped, _ error: KappaError, _ state: VersionState, isRetried: Bool,
        _ catalog: Catalog
    ) {
        let reason = error.what + (error.reason.map { ": \($0)" } ?? "")
        self.state.withLock { own in
            own.unsaved.removeAll { $0.id == version.id }
            own.unsaved.append(
                Failure(id: version.id, state: state, reason: reason, isRetried: isRetried))
        }
        hasUnsaved.store(true, ordering: .releasing)
        saveFailures(catalog)
    }

    private func leave(
        _ version: Stopped, _ error: KappaError, isRetried: Bool, _ catalog: Catalog
    ) {
        if isRetried {
            let retry = change(version.definition) { $0.retryLater(version.id, error) }
            if let retry, retry.isNews {
                let milliseconds = Int(retry.delay / .milliseconds(1))
                tell(.retrying(version.id, error, milliseconds: milliseconds))
            }
        } else {
            let lastSwitch = (try? catalog.lastSwitch(version.id.view)) ?? 0
            change(version.definition) { $0.giveUp(version.id, error, lastSwitch: lastSwitch) }
        }
        lookAgain()
    }

    /// Records the failures. The full disk that stopped a version may prevent that too; then they are
    /// recorded as soon as that is possible.
    func saveFailures(_ catalog: Catalog) {
        guard hasUnsaved.load(ordering: .acquiring) else { return }
        let unsaved = state.withLock { $0.unsaved }
        for failure in unsaved {
            do throws(KappaError) {
                try catalog.setFailure(
                    failure.id, failure.state, failure.reason, isRetried: failure.isRetried)
            } catch { return }
            state.withLock { state in
                state.unsaved.removeAll { $0.id == failure.id && $0.reason == failure.reason }
                if state.unsaved.isEmpty { hasUnsaved.store(false, ordering: .releasing) }
            }
        }
    }
}
