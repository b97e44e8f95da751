import Glibc

/// What a run would do for each view, how long it would take, and what it would change.
package struct Plan {
    package struct Step: Sendable {
        package var view: String
        package var action: Action
        package var change: Change
        package var version: VersionID?
        package var seconds: Double?
        package var rows: Int?
        package var bytes: Int?
        /// How the rows of a changed definition differ over the sampled events.
        package var diff: SampleDiff?
        /// Why there is no ``diff`` of a changed definition, and how to get one.
        package var note: String?
    }

    package enum Action: String, Sendable {
        case build, resume, keep
        /// Live, but not defined in this build: it stays as it is.
        case orphaned
        /// This build cannot build it: the definition is invalid, or its code crashes on an event.
        case invalid
    }

    /// How the view's definition compares with that of its live version.
    package enum Change: String, Sendable { case new, changed, unchanged, orphaned }

    /// How the rows of a version and those of a changed definition differ after the same events.
    package struct SampleDiff: Sendable, Equatable {
        package var against: VersionID
        package var summary: DiffSummary
        /// Some of the differences, each on a line.
        package var lines: [String]
    }

    private let folder: DataFolder
    private let catalog: Catalog
    /// All definitions that versions can be replayed with, including earlier ones.
    private let comparable: [ViewDefinition]
    /// The log's first offset, and its end.
    private let first: Offset
    private let end: Offset
    /// How many events to try, from the beginning of the log.
    private let sampleEvents: Int
    private static let mostLines = 5

    /// The steps for all views of a build, and for those that only the folder has.
    package static func steps(
        _ folder: DataFolder, _ views: ViewSet, sampleEvents: Int = VersionSample.usualEvents
    ) throws -> [Step] {
        let log = try LogReader(folder.log)
        let plan = Plan(
            folder: folder, catalog: try Catalog(folder), comparable: views.comparable(),
            first: log.offset, end: try log.durableEnd(), sampleEvents: sampleEvents)
        let workedOut = views.workedOut()
        let steps = try workedOut.sound.map(plan.step) + workedOut.invalid.map(plan.step)
        let orphans = try plan.catalog.entries().filter { entry in
            entry.isLive && !steps.contains { $0.view == entry.id.view }
        }
        return steps
            + orphans.map {
                Step(view: $0.id.view, action: .orphaned, change: .orphaned, version: $0.id)
            }
    }

    /// Why views of this build have failed because their code crashed.
    package static func failedViews(
        _ folder: DataFolder, _ definitions: [ViewDefinition]
    ) throws -> [String: String] {
        guard access(folder.catalog, F_OK) == 0 else { return [:] }
        let catalog = try Catalog(folder)
        var reasons: [String: String] = [:]
        for definition in definitions {
            if let (entry, stamp) = try CrashRecovery.failed(definition, catalog) {
                let error = CrashRecovery.error(entry.id, stamp, in: folder)
                reasons[definition.name] = text(error)
            }
        }
        return reasons
    }

    private func step(_ view: InvalidView) throws -> Step {
        let live = try catalog.entries(of: view.name).first(where: \.isLive)?.id
        var step = Step(
            view: view.name, action: .invalid, change: live == nil ? .new : .changed, version: live)
        step.note = Self.text(view.error)
        return step
    }

    private func step(_ definition: ViewDefinition) throws -> Step {
        if let (entry, stamp) = try CrashRecovery.failed(definition, catalog) {
            let error = CrashRecovery.error(entry.id, stamp, in: folder)
            var step = Step(
                view: definition.name, action: .invalid, change: entry.isLive ? .unchanged : .new,
                version: entry.id)
            step.note = Self.text(error)
            return step
        }
        let live = try catalog.entries(of: definition.name).first(where: \.isLive)
        let change: Change =
            live.map { $0.digest == definition.digest ? .unchanged : .changed } ?? .new
        guard let (id, action) = try VersionAction.known(definition, catalog) else {
            var step = Step(view: definition.name, action: .build, change: change)
            try tryOut(definition, against: change == .changed ? live?.id : nil, &step)
            return step
        }
        var step = Step(
            view: definition.name, action: action == .keep ? .keep : .resume, change: change,
            version: id)
        let reader = try? folder.reader(id)
        let position = try reader?.checkpoint().offset ?? .zero
        if position < end {
            try tryOut(definition, against: nil, &step)
            let share = Double(end - max(position, first)) / Double(end - first)
            step.seconds = step.seconds.map { Self.rounded($0 * share) }
            step.bytes = nil
        } else {
            step.seconds = 0
        }
        step.rows = try reader.map(Self.rows) ?? step.rows
        if change == .changed, let live {
            let held = try catalog.reasonToHoldBack(id).map {
                "; \($0), so only `kappa promote \(id)` promotes it"
            }
            step.note =
                "it is built already: `kappa diff \(live.id) \(id)` compares them" + (held ?? "")
        } else if let rebuild = try VersionTarget.unfinishedRebuild(definition, catalog),
            let number = rebuild.id, number != id
        {
            step.note =
                "\(number) is an unfinished rebuild: the next run finishes it"
                + (rebuild.promotes ? " and promotes it" : "")
        }
        return step
    }

    // MARK: Trying out

    /// Builds a scratch version of a view from a sample of the log, extrapolates time and size, and compares
    /// the rows with the live version's.
    ///
    /// The number of rows is extrapolated from how many were new in the second half of the sample: a view
    /// with few keys has all its rows early, one with many keeps growing.
    private func tryOut(
        _ definition: ViewDefinition, against live: VersionID?, _ step: inout Step
    ) throws {
        let events = min(end - first, sampleEvents)
        guard events > 1 else { return }
        let sample = first + events
        let crash = AsideCrash(of: definition, in: folder)
        do {
            // Its code crashed in the last attempt: first find out on which event.
            if crash.isKnown {
                _ = try ScratchVersion(definition, to: sample, in: folder)
            }
        } catch let error as KappaError where error.code == .bug {
            step.action = .invalid
            step.note = Self.text(error)
            return
        }
        var replayed: ScratchVersion?
        do { replayed = try live.flatMap { try replay($0, to: sample) } } catch let error
            as KappaError where error.code == .bug
        {
            // It is the earlier definition that can no longer be replayed.
            step.note = Self.text(error)
        }
        let old = try replayed?.reader ?? live.flatMap(heldSample)
        defer { withExtendedLifetime(replayed) {} }
        if let live, old == nil, step.note == nil {
            step.note =
                "\(live) is past the sample: `kappa rebuild \(live.view) --no-promote` builds the "
                + "new version aside, and `kappa diff` compares them"
        }
        let scratch = try ScratchFolder(folder)
        let path = scratch.path + "/aside.db"
        let store = try VersionStore(
            at: path, view: definition.name, number: 1, digest: definition.digest,
            tables: definition.tables)
        let extraction = ExtractionPlan()
        let version = try VersionMaterializer(
            definition, store: store, plan: extraction, budgetBytes: 1 << 29,
            crashMark: crash.mark)
        var took = 0.0
        func scan(to offset: Offset) throws {
            let start = SystemClock.monotonicSeconds()
            try Scan(folder.log, [version], plan: extraction, options: .init(end: offset)).run()
            took += SystemClock.monotonicSeconds() - start
        }
        let half = first + events / 2
        let comparedAt = try old?.checkpoint().offset
        if let old, let comparedAt, comparedAt <= half {
            try scan(to: comparedAt)
            step.diff = try diff(old, path, live)
        }
        try scan(to: half)
        let early = try Self.rows(VersionReader(path))
        if let old, let comparedAt, comparedAt > half {
            try scan(to: comparedAt)
            step.diff = try diff(old, path, live)
        }
        try scan(to: sample)
        let all = try Self.rows(VersionReader(path))
        try store.finish()
        var status = stat()
        let bytes = stat(path, &status) == 0 ? Double(status.st_size) : 0
        let times = Double(end - first) / Double(events)
        let rows = Double(all) + Double(all - early) * 2 * (times - 1)
        step.seconds = Self.rounded(took * times)
        step.rows = Int(rows)
        step.bytes = Int(all == 0 ? bytes : bytes * max(1, rows / Double(all)))
        withExtendedLifetime(scratch) {}
    }

    /// The live version's rows after the sample, replayed if this build still has its definition among the
    /// earlier ones.
    private func replay(_ live: VersionID, to sample: Offset) throws -> ScratchVersion? {
        if (try? folder.requireReplay(of: live)) == nil { return nil }
        let digest = try catalog.entries(of: live.view).first { $0.id == live }?.digest
        let known = comparable.first { $0.name == live.view && $0.digest == digest }
        return try known.map {
            try ScratchVersion($0, to: sample, in: folder) { _, _ in }
        }
    }

    /// A live version as it is now, if it is not past the sample of the log; otherwise the stored sample of
    /// its first rows.
    private func heldSample(_ live: VersionID) throws -> VersionReader? {
        for path in [folder.file(live), VersionSample.path(of: live, in: folder)] {
            guard let path, let reader = try? VersionReader(path) else { continue }
            try reader.hold()
            let checkpoint = try reader.checkpoint()
            let isSame = checkpoint.began == first || checkpoint.offset == .zero
            if isSame, checkpoint.offset <= min(end, first + sampleEvents) { return reader }
        }
        return nil
    }

    private func diff(
        _ old: VersionReader, _ path: String, _ live: VersionID?
    ) throws -> SampleDiff? {
        guard let live else { return nil }
        let new = try VersionReader(path)
        var lines: [String] = []
        let summary = try Diff(old, new).run { difference in
            if lines.count < Self.mostLines {
                lines.append(difference.line(from: old.tables, to: new.tables))
            }
        }
        return SampleDiff(against: live, summary: summary, lines: lines)
    }

    private static func text(_ error: KappaError) -> String {
        error.what + (error.reason.map { ": \($0)" } ?? "")
    }

    private static func rows(_ reader: VersionReader) throws -> Int {
        try reader.tables.indices.map { try reader.rowCount(table: $0) }.reduce(0, +)
    }

    private static func rounded(_ seconds: Double) -> Double { (seconds * 100).rounded() / 100 }
}
