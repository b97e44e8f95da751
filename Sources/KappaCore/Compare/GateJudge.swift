/// Judges versions by the gates of their views, defined in this build's code, and by additional ones.
package final class GateJudge: Gatekeeper {
    /// Who promotes.
    package enum Promoter: Sendable {
        /// A runner whose versions have caught up.
        case program
        /// A person who has named the versions, and so approves them.
        case person
        /// A person who overrides the gates.
        case force
    }

    private let folder: DataFolder
    private let views: ViewSet
    private let promoter: Promoter
    private let gates: [String: [Gate]]
    private let further: [Gate]
    private let looks = Monitor<[EqualityCheck]>([])
    /// Called if a version has the same rows as the one that it has replaced.
    private let foundIdentical: @Sendable (Judgement) -> Void

    /// - Parameter further: Gates for all versions, in addition to those of their views.
    package init(
        _ folder: DataFolder, _ views: ViewSet, further: [Gate] = [],
        promoter: Promoter = .program,
        foundIdentical: @escaping @Sendable (Judgement) -> Void = { _ in }
    ) throws(KappaError) {
        self.folder = folder
        self.views = views
        self.further = further
        self.promoter = promoter
        self.foundIdentical = foundIdentical
        var gates: [String: [Gate]] = [:]
        for definition in views.sound { gates[definition.name] = definition.gates }
        self.gates = gates
    }

    private func gates(of view: String) -> [Gate] { (gates[view] ?? []) + further }

    package func compares(_ candidate: VersionID, with live: VersionID?) -> Bool {
        promoter != .force
            && (gates(of: candidate.view).contains(where: \.compares)
                || lack(of: candidate, beside: live) != nil)
    }

    /// What a version lacks that the live one has, because the log was trimmed in between; nil if it lacks nothing.
    private func lack(of candidate: VersionID, beside live: VersionID?) -> String? {
        guard let live, let new = try? folder.reader(candidate).checkpoint(),
            let old = try? folder.reader(live).checkpoint(), new.began > old.began
        else { return nil }
        return
            "the log was trimmed: \(candidate) begins at offset \(new.began), and \(live) began at "
            + "\(old.began)"
    }

    package func judge(_ candidate: VersionID, against live: VersionID?) throws -> Judgement? {
        var gates = gates(of: candidate.view)
        // Rows of events that were trimmed do not vanish unless a gate of the view's own allows it.
        let lack =
            gates.contains(where: \.limitsRemovedRows) ? nil : lack(of: candidate, beside: live)
        if lack != nil { gates.append(.removedRows(atMost: 0)) }
        if gates.isEmpty {
            guard promoter == .program else { return nil }
            let events = try EventsGate(candidate, beside: live, in: folder)
            return try events.usual().map { finding in
                Judgement(
                    candidate, against: live?.number, at: events.position, findings: [finding])
            }
        }
        var judgement = try judge(candidate, against: live, gates)
        if let lack, let last = judgement.findings.indices.last, !judgement.findings[last].passes {
            judgement.findings[last].figures += "; \(lack)"
        }
        guard promoter == .program, !gates.contains(where: \.countsDead) else { return judgement }
        let events = try EventsGate(candidate, beside: live, in: folder)
        if let finding = try events.usual() { judgement.findings.append(finding) }
        return judgement
    }

    private func judge(
        _ candidate: VersionID, against live: VersionID?, _ gates: [Gate]
    ) throws -> Judgement {
        guard promoter != .force, gates.contains(where: \.compares) else {
            let position = try folder.reader(candidate).checkpoint().offset
            return Judgement(
                candidate, against: live?.number, at: position,
                findings: try gates.map { gate in
                    promoter == .force
                        ? Judgement.GateFinding("\(gate)", passes: false, "passed over by --force")
                        : try withoutRows(gate, candidate, live)
                }, isForced: promoter == .force)
        }
        guard let live else {
            let new = try folder.reader(candidate)
            return try judge(candidate, GateComparison(new: new), gates, nil)
        }
        do {
            return try compare(candidate, with: live, gates)
        } catch let error as KappaError where promoter == .program {
            // A runner records a refusal and keeps the live version; a person gets the error at once.
            let why = error.reason.map { ": \($0)" } ?? ""
            let position = try folder.reader(candidate).checkpoint().offset
            return Judgement(
                candidate, against: live.number, at: position,
                findings: try gates.map { gate in
                    gate.compares
                        ? Judgement.GateFinding(
                            "\(gate)", passes: false, "it cannot be judged, \(error.what)\(why)")
                        : try withoutRows(gate, candidate, live)
                })
        }
    }

    private func compare(
        _ candidate: VersionID, with live: VersionID, _ gates: [Gate]
    ) throws -> Judgement {
        let alignment = try Alignment(live, candidate, in: folder, views)
        // The advanced copies are removed with the alignment.
        return try withExtendedLifetime(alignment) {
            try judge(
                candidate, GateComparison(old: alignment.old, new: alignment.new, live), gates,
                live)
        }
    }

    private func judge(
        _ candidate: VersionID, _ comparison: GateComparison, _ gates: [Gate], _ live: VersionID?
    ) throws -> Judgement {
        Judgement(
            candidate, against: comparison.live?.number, at: comparison.position,
            counts: comparison.counts,
            findings: try gates.map { gate in
                gate.compares ? comparison.judge(gate) : try withoutRows(gate, candidate, live)
            })
    }

    /// Judges a gate that needs no comparison of rows.
    private func withoutRows(
        _ gate: Gate, _ candidate: VersionID, _ live: VersionID?
    ) throws -> Judgement.GateFinding {
        guard case .events(let kind, let allowance) = gate.rule else { return approval(gate) }
        return try EventsGate(candidate, beside: live, in: folder).judge(gate, kind, allowance)
    }

    private func approval(_ gate: Gate) -> Judgement.GateFinding {
        promoter == .person
            ? Judgement.GateFinding("\(gate)", passes: true, "a person promotes it")
            : Judgement.GateFinding("\(gate)", passes: false, "it waits for `kappa promote`")
    }

    // MARK: Identical rows

    package func look(at candidate: VersionID, beside live: VersionID) {
        let look = EqualityCheck(candidate, beside: live, in: folder, found: foundIdentical)
        looks.withLock { looks in
            // A runner goes on promoting, so the list must not grow.
            looks.removeAll(where: \.isDone)
            looks.append(look)
        }
    }

    package func finish() {
        let looks = looks.withLock { looks in
            defer { looks = [] }
            return looks
        }
        for look in looks { look.wait() }
    }
}

extension ViewRunner {
    /// A runner that applies the gates of its views.
    package convenience init(
        _ folder: DataFolder, _ views: ViewSet, options: Options = Options(),
        report: @escaping @Sendable (Report) -> Void = { _ in }
    ) throws(KappaError) {
        let judge = try GateJudge(folder, views) { report(.identical($0)) }
        try self.init(folder, views, options: options, gatekeeper: judge, report: report)
    }
}
