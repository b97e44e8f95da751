/// The judgements in the catalog, passed and refused, with the figures of each gate.
extension Catalog {
    /// Records a judgement.
    func add(_ judgement: Judgement) throws(KappaError) {
        try file.add(
            JudgementRecord(
                candidate: judgement.candidate, live: judgement.live,
                position: judgement.position, verdict: judgement.verdict.rawValue,
                counts: judgement.counts.map { [$0.added, $0.removed, $0.changed, $0.same] },
                gates: judgement.gatesJSON, atMicros: SystemClock.wallMicroseconds()))
    }

    /// Every judgement of a view, oldest first.
    package func judgements(of view: String) throws(KappaError) -> [Judgement] {
        try file.judgements(of: view).map(Judgement.init)
    }

    /// Records that a version has the same rows as one of another definition, once the promotion that had
    /// them compared is over. A version that has been switched in the meantime keeps its own reason.
    package func noteIdentical(_ judgement: Judgement) throws {
        try SwitchLock(judgement.candidate.view, in: folder).shared {
            try transaction {
                try add(judgement)
                try markIdentical(judgement)
            }
        }
    }

    /// Sets the status of a live version to say that it has the rows of the version before.
    func markIdentical(_ judgement: Judgement) throws(KappaError) {
        guard judgement.isIdentical, let live = judgement.live,
            try self.live(judgement.candidate.view) == judgement.candidate.number
        else { return }
        let old = VersionID(judgement.candidate.view, live)
        try setState(judgement.candidate, .live, reason: Judgement.sameRows(as: old))
    }

    /// Records that gates have refused a version. It waits, and its status says why.
    func refuse(_ judgement: Judgement) throws {
        try transaction {
            try add(judgement)
            let id = judgement.candidate
            let state = try entries(of: id.view).first { $0.id == id }?.state ?? .ready
            let isOld = state == .retired || state == .failed
            try setState(
                id, isOld ? state : .ready, reason: Judgement.notPromoted(judgement))
        }
    }

    /// Records in the history that the view's code crashes on an event, once for each event.
    func noteCrash(of id: VersionID, _ reason: String, at offset: Offset) throws {
        try transaction {
            let known = try judgements(of: id.view).last { $0.candidate == id }
            if known?.failure == reason { return }
            var judgement = Judgement(id, against: nil, at: offset)
            judgement.failure = reason
            try add(judgement)
        }
    }
}

extension Judgement {
    /// A judgement read back from the catalog.
    fileprivate init(_ record: JudgementRecord) {
        let verdict = Verdict(rawValue: record.verdict)
        self.init(
            record.candidate, against: record.live, at: record.position,
            counts: record.counts.map {
                Counts(added: $0[0], removed: $0[1], changed: $0[2], same: $0[3])
            },
            findings: Self.findings(record.gates), isForced: verdict == .forced)
        if verdict == .failed { failure = findings.first?.figures ?? "" }
        isOtherDefinition = verdict == .identical
        atMicros = record.atMicros
    }

    private static func findings(_ json: String) -> [GateFinding] {
        guard case .array(let elements) = try? JSONValue(parsing: json) else { return [] }
        return elements.compactMap { element in
            guard case .string(let gate) = element["gate"],
                case .string(let figures) = element["figures"]
            else { return nil }
            return GateFinding(gate, passes: element["passes"] == .bool(true), figures)
        }
    }

    /// The findings as a JSON array of objects.
    package var gatesJSON: String {
        JSONText.string { text in
            text.append(raw: "[")
            for (index, finding) in findings.enumerated() {
                text.append(raw: index > 0 ? ",{\"gate\":" : "{\"gate\":")
                text.append(string: finding.gate)
                text.append(raw: ",\"passes\":\(finding.passes),\"figures\":")
                text.append(string: finding.figures)
                text.append(raw: "}")
            }
            text.append(raw: "]")
        }
    }

    /// The status of a version that gates have refused.
    static func notPromoted(_ judgement: Judgement) -> String {
        "not promoted: \(judgement.refusal)"
    }

    /// The status of a version whose new definition changed no row.
    package static func sameRows(as old: VersionID) -> String {
        "identical rows: the change of source did not change the view (they are those of \(old))"
    }
}
