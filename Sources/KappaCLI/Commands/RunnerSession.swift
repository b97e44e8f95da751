import Glibc
import KappaCore

/// The common part of `run` and `rebuild`: a runner with reports, progress and a way to stop.
struct RunnerSession {
    private let context: Context
    private let options: ViewRunner.Options
    /// The versions that were worked on, to print at the end.
    private let touched = Monitor<[VersionID]>([])
    private let refusals = Monitor<[Judgement]>([])

    static let options = [
        OptionSpec(name: "--no-promote", summary: "leaves new versions ready, not live"),
        OptionSpec(
            name: "--memory", value: "SIZE", summary: "the memory for rows, such as 512M",
            defaultValue: "1G", isSetting: true),
        OptionSpec(
            name: "--commit-interval", value: "TIME",
            summary: "the time between commits while events come steadily",
            defaultValue: "50ms", isSetting: true),
        OptionSpec(
            name: "--keep-snapshots", value: "POLICY",
            summary: "keeps snapshots of rows, such as every=1h,keep=24", isSetting: true),
        OptionSpec(
            name: "--feed-age", value: "AGE",
            summary: "keeps changes for followers for this long",
            defaultValue: "7d", isSetting: true),
        OptionSpec(
            name: "--feed-size", value: "SIZE",
            summary: "keeps this much of the changes of each version", defaultValue: "16M",
            isSetting: true),
        OptionSpec(
            name: "--retain", value: "AGE",
            summary: "trims events appended longer ago, such as 400d", isSetting: true),
        OptionSpec(
            name: "--retain-size", value: "SIZE",
            summary: "trims the log to this size, such as 100G", isSetting: true),
    ]

    /// Reads ``options``.
    static func read(
        _ arguments: ParsedArguments, into options: inout ViewRunner.Options
    ) throws(KappaError) {
        options.promotes = !arguments.has("--no-promote")
        options.memoryBytes = try arguments.bytes("--memory") ?? options.memoryBytes
        options.commitMilliseconds =
            try arguments.milliseconds("--commit-interval", most: 60_000)
            ?? options.commitMilliseconds
        options.snapshots = try arguments.snapshotPolicy()
        options.feed = FeedPolicy(
            ageMicros: try arguments.age("--feed-age") ?? options.feed.ageMicros,
            bytes: try arguments.bytes("--feed-size") ?? options.feed.bytes)
        options.retention = try arguments.retention()
    }

    init(_ context: Context, _ options: ViewRunner.Options) {
        self.context = context
        self.options = options
    }

    /// Runs to the end or until a stop is asked for. Prints a status object for each version.
    func run(printsChanges: Bool) throws -> Int32 {
        let output = Monitor(Output())
        let context = context
        let runner = try ViewRunner(context.data, context.views, options: options) { report in
            self.note(report)
            if report.isForPeople {
                self.say(report)
            } else if printsChanges, context.format == .json {
                output.withLock { self.printStatus(report, $0) }
            } else {
                self.say(report)
            }
        }
        Interrupt.onStop { runner.stop() }
        let isDone = Monitor(false)
        let progress = try? WorkerThread("kappa-progress") { showProgress(runner, isDone) }
        defer {
            isDone.withLock { $0 = true }
            progress?.join()
        }
        try runner.run()
        isDone.withLock { $0 = true }
        progress?.join()
        // A view that failed for good, or is still being retried, makes the run a failure.
        if let failure = runner.unresolved {
            // If reports are JSON records, the error has not been shown yet.
            if printsChanges, context.format == .json { throw failure }
            return failure.code.exitCode
        }
        if !printsChanges { try printAll() }
        if !options.follows, let error = refusal { throw error }
        if Interrupt.wasAsked {
            Output.say("kappa: stopped at a checkpoint; `kappa run` resumes there")
            // A run that follows ends by being stopped. One with an end of its own was cut short.
            if !options.follows { return Interrupt.exitCode }
        }
        return 0
    }

    /// The error if gates have refused versions.
    private var refusal: KappaError? {
        let refused = refusals.withLock { $0 }
        return refused.isEmpty ? nil : Judgement.refusal(of: refused, named: refused.count)
    }

    private func note(_ report: ViewRunner.Report) {
        switch report {
        case .started(let id, _):
            // Once each: a retried version is started several times.
            touched.withLock { if !$0.contains(id) { $0.append(id) } }
        case .refused(let judgement):
            refusals.withLock { refusals in
                refusals.removeAll { $0.candidate == judgement.candidate }
                refusals.append(judgement)
            }
        case .caughtUp, .promoted, .identical, .heldBack, .released, .heldElsewhere, .failed,
            .retrying, .recovered, .slow, .snapshotFailed, .deadLetter, .invalid, .suspected,
            .logGrows, .trimmed, .trimFailed, .collected:
            break
        }
    }

    private func say(_ report: ViewRunner.Report) {
        switch report {
        case .started(let id, .build):
            let first = (try? LogReader(context.data.log).firstOffset) ?? .zero
            let why = first > .zero ? ": the log was trimmed before that" : ""
            Output.say("\(id): building from offset \(first)\(why)")
        case .trimmed(let outcome):
            if outcome.isNew {
                Output.say("kappa: trimmed the log: it begins at offset \(outcome.first)")
            }
            if let need = outcome.heldBack {
                Output.say("kappa: more is to be trimmed, but \(need)")
            }
        case .collected(let id, let kept):
            let versions = kept == 1 ? "one retired version is" : "\(kept) retired versions are"
            Output.say("\(id): dropped; \(versions) kept")
        case .trimFailed(let error): Output.say("kappa: \(error)")
        case .started(let id, .resume): Output.say("\(id): resumes from its checkpoint")
        case .started(let id, .keep): Output.say("\(id): live")
        case .caughtUp(let id, let offset): Output.say("\(id): caught up at offset \(offset)")
        case .promoted(let change):
            let from = change.from.map { " instead of \(change.view)@\($0)" } ?? ""
            Output.say(
                "\(change.view)@\(change.to): live since offset \(change.position)\(from)")
            if let judgement = change.judgement { JudgementText.say(judgement) }
        case .refused(let judgement):
            Output.say("\(judgement.candidate): ready; gates refuse to promote it")
            JudgementText.say(judgement)
        case .identical(let judgement): Output.say(JudgementText.identical(judgement))
        case .heldBack(let id, let reason):
            Output.say(
                "\(id): ready; \(reason), so only `kappa promote \(id)` promotes it")
        case .invalid(let view):
            Output.say(SafeText.lines("\(view.name): left out: \(view.error)"))
        case .suspected(let id, let stamp):
            Output.say(
                "\(id): its code crashed (\(stamp.signalText)) between offsets \(stamp.first) and "
                    + "\(stamp.end); applying these events to it alone")
        case .released(let id, let reason): Output.say("\(id): \(reason); lease released")
        case .heldElsewhere(let id, let error):
            let what = options.follows ? "standing by" : "skipped"
            Output.say("\(id): \(what): \(error.reason ?? error.what)")
        case .retrying(let id, let error, let milliseconds):
            Output.say("\(id): \(error)")
            Output.say(
                "\(id): retrying in \(milliseconds) ms, then less and less often, until that passes"
            )
        case .slow(let id, let reason):
            Output.say(
                "\(id): \(reason); the versions that share its scan wait. If it never returns, correct "
                    + "the view and start again: killing this process loses nothing")
        case .recovered(let id): Output.say("\(id): works again")
        case .failed(let id, let error): Output.say("\(id): \(error)")
        case .deadLetter(let id, let letter):
            Output.say(
                "\(id): event \(letter.offset) is a dead letter: \(SafeText.line(letter.reason)); "
                    + "`kappa dead \(id)` lists all of them")
        case .logGrows(let id, let reason): Output.say("\(id): \(SafeText.line(reason))")
        case .snapshotFailed(let id, let error): Output.say("\(id): no snapshot: \(error)")
        }
    }

    private func printStatus(_ report: ViewRunner.Report, _ output: Output) {
        let id: VersionID
        switch report {
        case .started(let version, _), .caughtUp(let version, _), .heldBack(let version, _),
            .released(let version, _), .heldElsewhere(let version, _), .failed(let version, _),
            .retrying(let version, _, _), .recovered(let version), .slow(let version, _),
            .suspected(let version, _),
            .snapshotFailed(let version, _), .logGrows(let version, _),
            .deadLetter(let version, _):
            id = version
        case .promoted(let change): id = VersionID(change.view, change.to)
        case .refused(let judgement), .identical(let judgement): id = judgement.candidate
        case .invalid, .trimmed, .trimFailed, .collected: return
        }
        guard let catalog = try? Catalog(context.data),
            let status = try? VersionStatus.all(catalog, view: id.view).first(where: { $0.id == id }
            )
        else { return }
        try? output.write(RecordPrinter.json(StatusCommand.columns, StatusCommand.cells(status)))
        try? output.write("\n")
        try? output.flush()
    }

    private func printAll() throws {
        let ids = touched.withLock { $0 }
        let statuses = try VersionStatus.all(try Catalog(context.data))
        try StatusCommand.print(
            statuses.filter { ids.contains($0.id) }, context.format, Output())
    }
}

extension ViewRunner.Report {
    /// Whether it is printed for people even if the reports are JSON records, as it changes no version's
    /// state.
    fileprivate var isForPeople: Bool {
        switch self {
        case .snapshotFailed, .deadLetter, .suspected, .invalid, .logGrows, .slow, .trimmed,
            .trimFailed, .collected:
            true
        default: false
        }
    }
}

/// Fewer events than this are applied before a progress bar would help.
private let leastEventsForBar = 10_000

private func showProgress(_ runner: ViewRunner, _ isDone: Monitor<Bool>) {
    let line = ProgressLine("replay")
    while !isDone.withLock({ $0 }) {
        if Interrupt.wasAsked {
            line.clear()
            return sayStopping(isDone)
        }
        let (offset, end) = runner.progress
        if end - offset > leastEventsForBar {
            line.show(Int(offset.rawValue), of: Int(end.rawValue))
        } else {
            line.clear()
        }
        Pause.briefly()
    }
    line.clear()
}

/// A large commit takes seconds, so confirm that the request to stop was received.
private func sayStopping(_ isDone: Monitor<Bool>) {
    for _ in 0..<6 {
        Pause.forALook()
        if isDone.withLock({ $0 }) { return }
    }
    Output.say("kappa: stopping at the next checkpoint; a second signal ends it at once")
}
