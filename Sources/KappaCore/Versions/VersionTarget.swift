/// What to do for a view.
package enum VersionAction: String, Sendable {
    /// Build a new version from offset zero.
    case build
    /// Continue an unfinished version from its checkpoint.
    case resume
    /// Keep the live version, which has this definition, current.
    case keep

    /// The version that a definition already has, and what to do with it; nil if there is none.
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
    /// Nil for a version that has yet to be created.
    var id: VersionID?
    var action: VersionAction
    /// Whether it is to be promoted when it has caught up.
    var promotes = true
    /// Whether it is a rebuild, new or unfinished.
    var isRebuild = false

    /// What a runner begins with: the version of the definition, or a new one if there is none, and an
    /// unfinished rebuild.
    static func first(
        _ definition: ViewDefinition, _ catalog: Catalog, _ options: ViewRunner.Options
    ) throws -> [VersionTarget] {
        let rebuild = try unfinishedRebuild(definition, catalog)
        if options.rebuilds {
            // With a given end, an unfinished rebuild may already be past it.
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

    /// What a runner may take over while it follows. It then begins no new version, except to replace a live
    /// one whose file is gone: a dropped version is not built again unless somebody asks for it.
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
        // Versions that it has worked on and is waiting to retry.
        for entry in same where post.retries[entry.id] != nil && entry.isOnItsWay {
            if targets.contains(where: { $0.id == entry.id }) { continue }
            targets.append(VersionTarget(id: entry.id, action: .resume))
        }
        return targets
    }

    /// The newest unfinished rebuild of a definition. One that is older than a version that was live since is
    /// no longer wanted.
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
    /// Whether it is not live and may become so.
    var isOnItsWay: Bool { isUnfinished || state == .ready }

    /// Whether it is still building, catching up or paused.
    var isUnfinished: Bool {
        switch state {
        case .building, .catchingUp, .paused: !isLive
        case .ready, .live, .retired, .failed: false
        }
    }
}
