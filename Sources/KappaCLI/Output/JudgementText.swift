import KappaCore

/// Prints the judgements of gates for people, on standard error.
enum JudgementText {
    /// Prints each gate with its figures, and the sample of each gate that refuses.
    static func say(_ judgement: Judgement) {
        let id = judgement.candidate
        var heading = "\(id)"
        if let live = judgement.live { heading += " against \(id.view)@\(live)" }
        heading += " at offset \(judgement.position)"
        if let counts = judgement.counts {
            heading += ": \(counts.added) added, \(counts.removed) removed, "
            heading += "\(counts.changed) changed, \(counts.same) same"
        }
        Output.say(heading)
        for finding in judgement.findings {
            let word = judgement.isForced ? "skipped" : finding.passes ? "passes" : "refuses"
            Output.say("  \(word)  \(SafeText.line("\(finding.gate): \(finding.figures)"))")
            for line in finding.sample { Output.say("    \(SafeText.line(line))") }
        }
    }

    static func identical(_ judgement: Judgement) -> String {
        let old = judgement.live.map { "\(judgement.candidate.view)@\($0)" } ?? "the old version"
        return "\(judgement.candidate): identical rows, those of \(old): "
            + "the change of source did not change the view"
    }
}
