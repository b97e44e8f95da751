/// Makes versions live that somebody has named: advances them to the log's end, has them judged, and switches
/// all of them in one step, or none.
package struct NamedPromotion: Sendable {
    /// What it reports on the way.
    package enum Report: Sendable {
        /// It waits for another process that builds a version.
        case waiting(VersionID, pid: Int32)
        /// A version is already live, so its gates are not asked.
        case isLive(VersionID)
        /// The gates' judgement of a version, whether or not it was promoted.
        case judged(Judgement)
        /// A version of another definition has the same rows as the one that it has replaced.
        case identical(Judgement)
    }

    private let folder: DataFolder
    private let views: ViewSet
    private let gates: [Gate]
    private let isForced: Bool
    private let report: @Sendable (Report) -> Void
    /// Throws if the promotion is to be cancelled; nothing is switched then.
    private let check: @Sendable () throws -> Void

    /// - Parameters:
    ///   - gates: Gates for all versions, in addition to those of their views.
    ///   - isForced: Whether to override all gates.
    package init(
        _ folder: DataFolder, _ views: ViewSet, gates: [Gate] = [], isForced: Bool = false,
        check: @escaping @Sendable () throws -> Void = {},
        report: @escaping @Sendable (Report) -> Void = { _ in }
    ) {
        self.folder = folder
        self.views = views
        self.gates = gates
        self.isForced = isForced
        self.check = check
        self.report = report
    }

    /// Promotes; a reference without a number is the newest version of its view.
    /// - Throws: `.refused` if gates refuse one of them, if one has not reached what readers have seen and
    ///   cannot be advanced, or if one did not apply exactly the events of the log.
    package func run(_ references: [VersionReference]) throws -> [Catalog.Switch] {
        guard !references.isEmpty else {
            throw KappaError(
                .usage, "no view was named to be promoted",
                advice: "Name one or several, such as orders or orders@3")
        }
        let catalog = try Catalog(folder)
        let candidates = try references.map { try candidate($0, catalog) }
        for id in candidates {
            try finish(id, catalog)
            if try catalog.live(id.view) == id.number { report(.isLive(id)) }
        }
        let report = report
        let judge = try GateJudge(
            folder, views, further: gates, promoter: isForced ? .force : .person
        ) { report(.identical($0)) }
        var promotion = Promotion(catalog, judge)
        var attempt = 0
        while true {
            try check()
            promotion.isPatient = attempt < Self.patience
            let reason = isForced ? "promote --force" : "promote"
            switch try promotion.promote(candidates, reason: reason) {
            case .switched(let switches):
                judge.finish()
                for judgement in switches.compactMap(\.judgement) {
                    report(.judged(judgement))
                    if judgement.isIdentical { report(.identical(judgement)) }
                }
                return switches
            case .refused(let judgements):
                for judgement in judgements { report(.judged(judgement)) }
                throw Judgement.refusal(of: judgements, named: candidates.count)
            case .lags(let id, let needs):
                try wait(for: id, needs, isCandidate: candidates.contains(id), attempt)
            }
            attempt += 1
        }
    }

    /// How often to wait for a version that another process keeps current.
    private static let patience = 1_000

    /// Waits for a version to reach an offset. The process that keeps it current should soon be there, but
    /// the number of attempts is limited. A live version is waited for only while a process keeps it current.
    private func wait(
        for id: VersionID, _ needs: Offset, isCandidate: Bool, _ attempt: Int
    ) throws {
        if !isCandidate { return Pause.briefly() }
        if Lease.holder(of: id, in: folder) != nil, attempt < Self.patience {
            return Pause.briefly()
        }
        guard try attempt < Self.patience + 10 && advance(id) else { throw try isBehind(id, needs) }
    }

    /// Advances a version to the log's end if no other process does; waits while another process builds it.
    private func finish(_ id: VersionID, _ catalog: Catalog) throws {
        let reference = VersionReference(id.view, id.number)
        var hasSaid = false
        while let holder = Lease.holder(of: id, in: folder) {
            guard try catalog.resolve(reference).state == .building else { return }
            if !hasSaid { report(.waiting(id, pid: holder.pid)) }
            hasSaid = true
            try check()
            Pause.forALook()
        }
        _ = try advance(id)
    }

    private func candidate(
        _ reference: VersionReference, _ catalog: Catalog
    ) throws(KappaError) -> VersionID {
        if reference.number != nil { return try catalog.resolve(reference).id }
        guard let newest = try catalog.entries(of: reference.view).last else {
            try catalog.requireView(reference.view, among: views.names)
            return try catalog.resolve(reference).id
        }
        return newest.id
    }

    /// Advances a version to the log's end; false if this build does not define it.
    private func advance(_ id: VersionID) throws -> Bool {
        let digest = try folder.reader(id).digest
        guard
            let definition = views.sound.first(where: {
                $0.name == id.view && $0.digest == digest
            })
        else { return false }
        let lease = try Lease(id, in: folder)
        let store = try VersionStore.open(id, definition, in: folder)
        let end = try LogReader(folder.log).durableEnd()
        var way = ReplayWay()
        // Commit on the way, so that a kill does not lose the work.
        way.commitMilliseconds = 3_000
        way.memoryBytes = 1 << 30
        let check = check
        try ScratchVersion.advance(
            store, definition, to: max(end, store.lastCheckpoint()?.offset ?? .zero), in: folder,
            of: id, way: way
        ) { _, _ in try check() }
        withExtendedLifetime(lease) {}
        return true
    }

    private func isBehind(_ id: VersionID, _ needs: Offset) throws -> KappaError {
        let offset = try folder.reader(id).checkpoint().offset
        return KappaError(
            .refused, "\(id) cannot become live yet",
            at: "\(id), offset \(offset)",
            because:
                "its position, \(offset), is less than \(needs), which readers have seen, and this "
                + "build cannot advance it",
            advice: "Run the build that defines it, or use `kappa rollback \(id.view)`")
    }
}

extension Judgement {
    /// Whether only the default gate on dead letters refuses it.
    package var isHeldByDeadLetters: Bool {
        let failed = findings.filter { !$0.passes }
        return !failed.isEmpty && failed.allSatisfy { $0.gate == EventsGate.usualGate }
    }

    /// The error of a refused promotion.
    /// - Parameter all: How many versions were to be promoted.
    package static func refusal(of refused: [Judgement], named all: Int) -> KappaError {
        let names = refused.map(\.candidate.description).joined(separator: ", ")
        let others = all > refused.count ? "; so none is promoted" : ""
        let comparisons = refused.compactMap { judgement in
            judgement.live.map {
                "kappa diff \(judgement.candidate.view)@\($0) \(judgement.candidate)"
            }
        }
        if let held = refused.first(where: \.isHeldByDeadLetters) {
            return KappaError(
                .refused, "\(names) \(refused.count > 1 ? "are" : "is") held back\(others)",
                because: refused.map(\.refusal).joined(separator: "; "),
                advice: "`kappa dead \(held.candidate)` shows the events and why they could not be "
                    + "taken; `kappa promote \(held.candidate)` promotes it all the same")
        }
        let look = comparisons.first.map { "Look at `\($0)`; " } ?? ""
        return KappaError(
            .refused, "gates refuse \(names)\(others)",
            because: refused.map(\.refusal).joined(separator: "; "),
            advice: look + "`kappa promote --force` passes over the gates")
    }
}
