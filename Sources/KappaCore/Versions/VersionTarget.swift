/// What is to be done for a view.
package enum VersionAction: String, Sendable {
    /// A new version from offset zero.
    case build
    /// A version on its way continues from its checkpoint.
    case resume
    /// The live version is of this definition and continues.
    case keep

    /// The version of a definition that is there already.
    package static func known(
        _ definition: ViewDefinition, _ catalog: Catalog
    ) throws(KappaError) -> (VersionID, VersionAction)? {
        let same = try catalog.entries(of: definition.name).filter {
            $0.digest == definition.digest && $0.state != .failed && !catalog.hasLostFile($0)
        }
        guard let entry = same.first(where: \.isLive) ?? same.last else { return nil }
        return (entry.id, entry.isLive ? .keep : .resume)
    }
}

/// A version that a runner of its definition should work on.
struct VersionTarget {
    /// Nil for a version that has yet to be entered.
    var id: VersionID?
    var action: VersionAction
    /// Whether it is to be promoted when it has caught up.
    var promotes = true
    /// Whether it is a rebuild that a process before this one has not finished.
    var isRebuild = false

    /// What a runner begins with: the version of the definition, a new one where there is none, and what
    /// is left of a rebuild.
    static func first(
        _ definition: ViewDefinition, _ catalog: Catalog, _ options: ViewRunner.Options
    ) throws -> [VersionTarget] {
        let rebuild = try unfinishedRebuild(definition, catalog)
        if options.rebuilds {
            // Where it is to end somewhere, another one's beginning may be past that already.
            if options.end == nil, let rebuild, let id = rebuild.id,
                Lease.holder(of: id, in: catalog.folder) == nil
            {
                return [VersionTarget(id: id, action: .resume, isRebuild: true)]
            }
            return [VersionTarget(action: .build, isRebuild: true)]
        }
        guard let (id, action) = try VersionAction.known(definition, catalog) else {
            return [VersionTarget(action: .build)]
        }
        let main = VersionTarget(id: id, action: action)
        guard let rebuild, rebuild.id != id else { return [main] }
        return [main, rebuild]
    }

    /// What a runner may take over while it follows. It begins nothing anew then, but for a live version
    /// whose file is gone: what somebody has dropped is not built again without being asked.
    static func later(_ post: RunnerPost, _ catalog: Catalog) throws -> [VersionTarget] {
        let definition = post.definition
        var targets: [VersionTarget] = []
        let newest = try catalog.newestEverLive(definition.name) ?? VersionNumber(0)
        let lastSwitch = try catalog.lastSwitch(definition.name)
        let same = try catalog.entries(of: definition.name).filter {
            $0.digest == definition.digest && $0.state != .failed
                && !post.hasGivenUp($0, lastSwitch: lastSwitch)
        }
        if let live = same.first(where: \.isLive) {
            targets.append(
                catalog.hasLostFile(live)
                    ? VersionTarget(action: .build) : VersionTarget(id: live.id, action: .keep))
        } else if let other = same.last(where: { $0.isOnItsWay && $0.id.number > newest }) {
            targets.append(VersionTarget(id: other.id, action: .resume))
        }
        if let rebuild = try unfinishedRebuild(definition, catalog), let id = rebuild.id,
            same.contains(where: { $0.id == id }), !targets.contains(where: { $0.id == id })
        {
            targets.append(rebuild)
        }
        // What it has worked on and had to leave for a while.
        for entry in same where post.retries[entry.id] != nil && entry.isOnItsWay {
            if targets.contains(where: { $0.id == entry.id }) { continue }
            targets.append(VersionTarget(id: entry.id, action: .resume))
        }
        return targets
    }

    /// A rebuild of a definition that somebody has begun and nobody has finished; the newest. One that is
    /// older than what was live since is not wanted any more.
    static func unfinishedRebuild(
        _ definition: ViewDefinition, _ catalog: Catalog
    ) throws(KappaError) -> VersionTarget? {
        let wanted = try catalog.rebuilds(of: definition.name)
        if wanted.isEmpty { return nil }
        let newest = try catalog.newestEverLive(definition.name) ?? VersionNumber(0)
        let entry = try catalog.entries(of: definition.name).last {
            $0.digest == definition.digest && $0.isUnfinished && $0.id.number > newest
                && wanted[$0.id.number] != nil
        }
        return entry.map {
            VersionTarget(
                id: $0.id, action: .resume, promotes: wanted[$0.id.number] ?? true, isRebuild: true)
        }
    }
}

extension VersionEntry {
    /// Whether it is not live yet and may become so.
    var isOnItsWay: Bool { isUnfinished || state == .ready }

    /// Whether it has not caught up, or has only just.
    var isUnfinished: Bool {
        switch state {
        case .building, .catchingUp, .paused: !isLive
        case .ready, .live, .retired, .failed: false
        }
    }
}
