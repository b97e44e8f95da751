/// What a runner tidies up beside its work.
extension ViewRunner {
    /// Called whenever a scan has caught up.
    func tidyUp(_ catalog: Catalog) {
        trimLog()
        if state.withLock({ $0.collectTimer.isDue() }) { collectVersions(catalog) }
    }

    /// Drops retired versions of its views that are not to be kept, and that nobody uses.
    func collectVersions(_ catalog: Catalog) {
        guard let keep = options.keepVersions else { return }
        for view in definitions {
            // What fails is tried again; the work on live versions does not depend on it.
            let dropped = try? Garbage(catalog).collectRetired(view.name, keep: keep)
            for id in dropped ?? [] { tell(.collected(id, kept: keep)) }
        }
    }

    /// Trims the log now and then, if so asked. A version that holds it up is reported once.
    private func trimLog() {
        guard let retention = options.retention, state.withLock({ $0.trimTimer.isDue() }) else {
            return
        }
        do {
            let outcome = try LogTrim(folder).apply(retention)
            let isNews = state.withLock { state in
                let last = state.trimmed
                state.trimmed = outcome
                let isHeldNow = outcome.heldBack != nil && last?.heldBack == nil
                return outcome.isNew || isHeldNow
            }
            if isNews { tell(.trimmed(outcome)) }
        } catch let error as KappaError {
            // Segments are being sealed; the next time is soon.
            if error.code != .heldElsewhere { tell(.trimFailed(error)) }
        } catch {
            tell(.trimFailed(KappaError(.bug, "the log cannot be trimmed: \(error)")))
        }
    }
}
