/// Judges how many events a version could not take, or that were late.
///
/// It compares shares, so the two versions need not be at the same position.
struct EventsGate {
    private let candidate: VersionID
    private let live: VersionID?
    private let new: Counters
    private let old: Counters?
    private let reader: VersionReader
    let position: Offset

    /// How many reasons a refusal shows.
    private static let sampleLetters = 5
    /// How much the share of dead letters may rise.
    private static let usualRise = 0.01
    /// Without a version to compare with, a larger share of dead letters than this means that the view
    /// misreads its events.
    private static let mostOfFirst = 0.5

    init(_ candidate: VersionID, beside live: VersionID?, in folder: DataFolder) throws {
        self.candidate = candidate
        reader = try folder.reader(candidate)
        let checkpoint = try reader.checkpoint()
        (new, position) = (checkpoint.counters, checkpoint.offset)
        let other = live.flatMap { try? folder.reader($0) }
        old = try other?.checkpoint().counters
        self.live = old == nil ? nil : live
    }

    /// The finding of the default gate, for views without a gate on dead letters; nil if it passes.
    func usual() throws -> Judgement.GateFinding? {
        let share = new.share(of: .dead)
        let most = old.map { $0.share(of: .dead) + Self.usualRise } ?? Self.mostOfFirst
        guard new.dead > 0, share > most else { return nil }
        return Judgement.GateFinding(
            Self.usualGate, passes: false, figures(.dead), sample: try sample())
    }

    static let usualGate = "dead letters"

    func judge(
        _ gate: Gate, _ kind: Gate.Events, _ allowance: Allowance
    ) throws -> Judgement.GateFinding {
        let count = kind == .dead ? new.dead : new.late
        let passes = allowance.allows(Double(count), of: Double(new.taken))
        return Judgement.GateFinding(
            "\(gate)", passes: passes, figures(kind),
            sample: passes || kind == .late ? [] : try sample())
    }

    private func figures(_ kind: Gate.Events) -> String {
        func text(_ counters: Counters) -> String {
            let count = kind == .dead ? counters.dead : counters.late
            let percent = (counters.share(of: kind) * 10_000).rounded() / 100
            return "\(count) of \(counters.taken) events (\(Allowance.text(percent))%)"
        }
        let what = kind == .dead ? "dead letters" : "late"
        var figures = "\(text(new)) are \(what)"
        if let live, let old { figures += ", \(text(old)) in \(live)" }
        return figures
    }

    private func sample() throws -> [String] {
        var lines: [String] = []
        try reader.deadLetters(limit: Self.sampleLetters) { letter in
            lines.append("offset \(letter.offset): \(letter.reason)")
        }
        return lines
    }
}

extension Gate {
    /// Whether the gate limits dead letters.
    var countsDead: Bool { if case .events(.dead, _) = rule { true } else { false } }
}

extension Counters {
    /// The events that the view takes: applied, late or dead.
    fileprivate var taken: UInt64 { applied + late + dead }

    fileprivate func share(of kind: Gate.Events) -> Double {
        taken == 0 ? 0 : Double(kind == .dead ? dead : late) / Double(taken)
    }
}
