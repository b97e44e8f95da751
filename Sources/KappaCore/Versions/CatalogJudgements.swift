/// What the catalog keeps of judgements: passed and refused ones, with the figures of each gate.
extension Catalog {
    static let judgementTable = """
        CREATE TABLE IF NOT EXISTS judgements (
            id INTEGER PRIMARY KEY AUTOINCREMENT, view TEXT NOT NULL, number INTEGER NOT NULL,
            against INTEGER, position INTEGER NOT NULL, verdict TEXT NOT NULL, added INTEGER,
            removed INTEGER, changed INTEGER, same INTEGER, gates TEXT NOT NULL,
            at INTEGER NOT NULL) STRICT
        """

    /// Writes a judgement down.
    func add(_ judgement: Judgement) throws(KappaError) {
        let insert = try database.prepare(
            """
            INSERT INTO judgements (view, number, against, position, verdict, added, removed,
                changed, same, gates, at)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """)
        insert.bind(0, judgement.candidate.view)
        insert.bind(1, Int64(judgement.candidate.number.rawValue))
        let counts = judgement.counts
        let figures = [
            judgement.live?.rawValue, counts?.added, counts?.removed, counts?.changed, counts?.same,
        ]
        for (index, figure) in zip([2, 5, 6, 7, 8], figures) {
            if let figure { insert.bind(index, Int64(figure)) } else { insert.bindNull(index) }
        }
        insert.bind(3, Int64(bitPattern: judgement.position.rawValue))
        insert.bind(4, judgement.verdict.rawValue)
        insert.bind(9, judgement.gatesJSON)
        insert.bind(10, SystemClock.wallMicroseconds())
        try insert.execute()
    }

    /// Every judgement of a view, oldest first.
    package func judgements(of view: String) throws(KappaError) -> [Judgement] {
        let select = try database.prepare(
            """
            SELECT number, against, position, verdict, added, removed, changed, same, gates, at
            FROM judgements WHERE view = ? ORDER BY id
            """)
        select.bind(0, view)
        var judgements: [Judgement] = []
        while try select.step() {
            var judgement = Judgement(
                VersionID(view, VersionNumber(Int(select.integer(0)))),
                against: select.isNull(1) ? nil : VersionNumber(Int(select.integer(1))),
                at: Offset(UInt64(bitPattern: select.integer(2))),
                findings: Self.findings(select.string(8)),
                isForced: select.string(3) == Judgement.Verdict.forced.rawValue)
            if !select.isNull(4) {
                let counts = (4...7).map { Int(select.integer($0)) }
                judgement.counts = Judgement.Counts(
                    added: counts[0], removed: counts[1], changed: counts[2], same: counts[3])
            }
            if select.string(3) == Judgement.Verdict.failed.rawValue {
                judgement.failure = judgement.findings.first?.figures ?? ""
            }
            let isIdentical = select.string(3) == Judgement.Verdict.identical.rawValue
            judgement.isOtherDefinition = isIdentical
            judgement.atMicros = select.integer(9)
            judgements.append(judgement)
        }
        return judgements
    }

    /// Notes that a version has the rows of another definition's, when the promotion that looks at it
    /// is over. What was switched meanwhile keeps its own reason.
    package func noteIdentical(_ judgement: Judgement) throws {
        try SwitchLock(judgement.candidate.view, in: folder).shared {
            try transaction {
                try add(judgement)
                try markIdentical(judgement)
            }
        }
    }

    /// Says in the status of a live version that it has the rows of the one before.
    func markIdentical(_ judgement: Judgement) throws(KappaError) {
        guard judgement.isIdentical, let live = judgement.live,
            try self.live(judgement.candidate.view) == judgement.candidate.number
        else { return }
        let old = VersionID(judgement.candidate.view, live)
        try setState(judgement.candidate, .live, reason: Judgement.sameRows(as: old))
    }

    /// A refused version waits, and its status says for what.
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

    /// Notes in the history that the view's code crashes on an event; once for each event.
    func noteCrash(of id: VersionID, _ reason: String, at offset: Offset) throws {
        try transaction {
            let known = try judgements(of: id.view).last { $0.candidate == id }
            if known?.failure == reason { return }
            var judgement = Judgement(id, against: nil, at: offset)
            judgement.failure = reason
            try add(judgement)
        }
    }

    private static func findings(_ json: String) -> [Judgement.GateFinding] {
        guard case .array(let elements) = try? JSONValue(parsing: json) else { return [] }
        return elements.compactMap { element in
            guard case .string(let gate) = element["gate"],
                case .string(let figures) = element["figures"]
            else { return nil }
            return Judgement.GateFinding(gate, passes: element["passes"] == .bool(true), figures)
        }
    }
}

extension Judgement {
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

    /// What is said of a version that waits.
    static func notPromoted(_ judgement: Judgement) -> String {
        "not promoted: \(judgement.refusal)"
    }

    /// What is said of a version that need not have been built.
    package static func sameRows(as old: VersionID) -> String {
        "identical rows: the change of source did not change the view (they are those of \(old))"
    }
}
