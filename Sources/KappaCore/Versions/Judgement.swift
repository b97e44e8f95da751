/// The result of judging a version before it may become live.
package struct Judgement: Equatable, Sendable {
    /// The finding of one gate.
    package struct GateFinding: Equatable, Sendable {
        /// The gate, as it is written on the command line.
        package var gate: String
        package var passes: Bool
        /// Why, with figures.
        package var figures: String
        /// Some of what it complains about, each on a line.
        package var sample: [String]

        package init(_ gate: String, passes: Bool, _ figures: String, sample: [String] = []) {
            self.gate = gate
            self.passes = passes
            self.figures = figures
            self.sample = sample
        }
    }

    /// How many rows of the two versions are alike.
    package struct Counts: Equatable, Sendable {
        package var added: Int
        package var removed: Int
        package var changed: Int
        package var same: Int

        package init(added: Int, removed: Int, changed: Int, same: Int) {
            self.added = added
            self.removed = removed
            self.changed = changed
            self.same = same
        }

        package var isSame: Bool { added + removed + changed == 0 }
    }

    /// The overall result.
    package enum Verdict: String, Sendable {
        case passed, refused
        /// The view's code crashes on an event.
        case failed
        /// Somebody promoted it regardless of the gates.
        case forced
        /// The rows are those of the live version, though the definition differs.
        case identical
    }

    package var candidate: VersionID
    /// The live version that it was compared with; nil for a first version.
    package var live: VersionNumber?
    /// The position at which both were compared.
    package var position: Offset
    /// Nil if no gate compares rows.
    package var counts: Counts?
    package var findings: [GateFinding]
    package var isForced: Bool
    /// Whether the two versions have different definitions.
    package var isOtherDefinition = false
    /// Why the version has failed, whatever the gates say.
    package var failure: String? {
        didSet {
            findings = failure.map { [GateFinding("run", passes: false, $0)] } ?? []
        }
    }
    /// When it was recorded, in microseconds since 1970-01-01T00:00:00Z.
    package var atMicros: Int64 = 0

    package init(
        _ candidate: VersionID, against live: VersionNumber?, at position: Offset,
        counts: Counts? = nil, findings: [GateFinding] = [], isForced: Bool = false
    ) {
        self.candidate = candidate
        self.live = live
        self.position = position
        self.counts = counts
        self.findings = findings
        self.isForced = isForced
    }

    package var passes: Bool { isForced || findings.allSatisfy(\.passes) }
    /// Whether both versions have the same rows, though their definitions differ.
    package var isIdentical: Bool { isOtherDefinition && counts?.isSame == true }

    package var verdict: Verdict {
        if failure != nil { return .failed }
        if isForced { return .forced }
        if !passes { return .refused }
        return findings.isEmpty && isIdentical ? .identical : .passed
    }

    /// Why it was refused, in one line.
    package var refusal: String {
        findings.filter { !$0.passes }.map { "\($0.gate): \($0.figures)" }.joined(separator: "; ")
    }
}

/// Judges versions that are about to become live. A promotion calls it while the versions stand still.
package protocol Gatekeeper: Sendable {
    /// Whether a version is compared with the live one, so that both must be at the same position.
    func compares(_ candidate: VersionID, with live: VersionID?) -> Bool

    /// Judges a version; nil if its view has no gates. Both versions stand still during the call.
    /// - Parameter live: The version that it would replace; nil for a first version.
    func judge(_ candidate: VersionID, against live: VersionID?) throws -> Judgement?

    /// Begins to compare the rows of two versions that are at the same position. It holds a snapshot of both,
    /// so they may advance once this returns.
    func look(at candidate: VersionID, beside live: VersionID)

    /// Waits until all of these comparisons are done.
    func finish()
}
