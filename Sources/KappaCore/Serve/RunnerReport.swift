/// What ``Kappa/run(observer:)`` reports while it works: a case for each thing that you may want to log,
/// count or be alerted to.
public enum RunnerReport: Sendable {
    /// The kind of work on a version.
    public enum Work: String, Sendable {
        /// The version is new and replays the log from offset zero.
        case builds = "build"
        /// The version was begun before and resumes at its checkpoint.
        case resumes = "resume"
        /// The version is live and follows the log.
        case follows = "keep"
    }

    /// The work on a version begins.
    case started(VersionID, Work)
    /// Another process, or another call of `run`, materializes the version; this one stands by.
    case heldElsewhere(VersionID, KappaError)
    /// A version has reached the end of the log for the first time since the work on it began.
    case caughtUp(VersionID, at: Offset)
    /// A version has become live.
    case promoted(Promoted)
    /// A version has caught up and, for this reason, only a person may promote it.
    case heldBack(VersionID, reason: String)
    /// A version has caught up and a gate refuses it; the reason has the gates' figures.
    case refused(VersionID, reason: String)
    /// A promoted version has the same rows as the version it replaced: the new definition changed nothing.
    case identical(VersionID)
    /// The work on a version has ended: it has retired, or somebody has dropped it.
    case released(VersionID, reason: String)
    /// A version has stopped for good. If it is live, its rows stay as they are, and followers of the view
    /// and ``Kappa/position(of:)`` throw from now on. Work on the other views continues.
    case failed(VersionID, KappaError)
    /// A version has stopped for a transient reason, such as a full disk, and is retried with growing delays.
    /// Until it works again, readers of a live version see its rows as of its last commit.
    case retrying(VersionID, KappaError, after: Duration)
    /// The code of a version's view has been at work on some events for a long time: reported after ten
    /// seconds, then after twenty, and so on. Versions that share its scan wait. Rows and position stay as of
    /// the last commit; a process whose view never returns can be killed without losing anything.
    case slow(VersionID, reason: String)
    /// A version that was being retried, or whose code did not return, works again.
    case recovered(VersionID)
    /// A view's definition is invalid; work on the other views continues.
    case invalid(view: String, KappaError)
    /// The code of a version's view crashed before the program was restarted. The events it was working on
    /// are applied again, to this version alone, to find out which one crashes it.
    case suspected(VersionID, from: Offset, to: Offset)
    /// A version has its first dead letter, or its first since the work on it began.
    case firstDeadLetter(VersionID, DeadLetter)
    /// The write-ahead log of a version's file grows because somebody reads an old state of the file: a
    /// transaction that stays open, or a slow reader. Reported once, until the log is small again.
    case logGrows(VersionID, reason: String)
    /// A snapshot could not be made; the work on the version continues.
    case snapshotFailed(VersionID, KappaError)
    /// The log was trimmed to begin at an offset; or it was to be trimmed further, and a version still needs events,
    /// which `heldBack` says.
    case trimmed(first: Offset, heldBack: String?)
    /// The log could not be trimmed; it is tried again.
    case trimFailed(KappaError)
    /// A retired version was dropped: only the newest of them are kept.
    case dropped(VersionID)

    init(_ report: ViewRunner.Report) {
        self =
            switch report {
            case .started(let id, let action): .started(id, Work(action))
            case .heldElsewhere(let id, let error): .heldElsewhere(id, error)
            case .caughtUp(let id, let offset): .caughtUp(id, at: offset)
            case .promoted(let change): .promoted(Promoted(change))
            case .heldBack(let id, let reason): .heldBack(id, reason: reason)
            case .refused(let judgement):
                .refused(judgement.candidate, reason: judgement.refusal)
            case .identical(let judgement): .identical(judgement.candidate)
            case .released(let id, let reason): .released(id, reason: reason)
            case .failed(let id, let error): .failed(id, error)
            case .retrying(let id, let error, let milliseconds):
                .retrying(id, error, after: .milliseconds(milliseconds))
            case .recovered(let id): .recovered(id)
            case .slow(let id, let reason): .slow(id, reason: reason)
            case .invalid(let view): .invalid(view: view.name, view.error)
            case .suspected(let id, let stamp): .suspected(id, from: stamp.first, to: stamp.end)
            case .deadLetter(let id, let letter): .firstDeadLetter(id, letter)
            case .logGrows(let id, let reason): .logGrows(id, reason: reason)
            case .snapshotFailed(let id, let error): .snapshotFailed(id, error)
            case .trimmed(let outcome):
                .trimmed(first: outcome.first, heldBack: outcome.heldBack)
            case .trimFailed(let error): .trimFailed(error)
            case .collected(let id, _): .dropped(id)
            }
    }

    /// The version that the report is about; nil if it is about a view without one.
    public var version: VersionID? {
        switch self {
        case .started(let id, _), .heldElsewhere(let id, _), .caughtUp(let id, _),
            .heldBack(let id, _), .refused(let id, _), .identical(let id), .released(let id, _),
            .failed(let id, _), .retrying(let id, _, _), .recovered(let id), .slow(let id, _),
            .suspected(let id, _, _), .firstDeadLetter(let id, _), .logGrows(let id, _),
            .snapshotFailed(let id, _), .dropped(let id):
            id
        case .invalid, .trimmed, .trimFailed: nil
        case .promoted(let promoted): promoted.version
        }
    }
}

extension RunnerReport.Work {
    fileprivate init(_ action: VersionAction) {
        self =
            switch action {
            case .build: .builds
            case .resume: .resumes
            case .keep: .follows
            }
    }
}
