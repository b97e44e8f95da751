/// What ``Kappa/run(observer:)`` reports while it works, one case for each thing that somebody may want to
/// log, count or be woken for.
public enum RunnerReport: Sendable {
    /// What is done with a version.
    public enum Work: String, Sendable {
        /// It is new, and replays the log from offset zero.
        case builds = "build"
        /// It was begun before, and resumes at its checkpoint.
        case resumes = "resume"
        /// It is live, and follows the log.
        case follows = "keep"
    }

    /// The work on a version begins.
    case started(VersionID, Work)
    /// Another process, or another call of `run`, materializes the version; this one stands by.
    case heldElsewhere(VersionID, KappaError)
    /// A version has reached the end of the log, for the first time since the work on it began.
    case caughtUp(VersionID, at: Offset)
    /// A version has become live.
    case promoted(Promoted)
    /// A version has caught up and is for a person to promote, for this reason.
    case heldBack(VersionID, reason: String)
    /// A version has caught up and a gate refuses it; the reason has the gates' figures.
    case refused(VersionID, reason: String)
    /// A version was promoted whose rows are those of the version that it replaced: its definition need
    /// not have changed.
    case identical(VersionID)
    /// The work on a version has ended: it has retired, or somebody has dropped it.
    case released(VersionID, reason: String)
    /// A version has stopped for good. If it is live, its rows stay as they are: followers of the view and
    /// ``Kappa/position(of:)`` throw from now on. The other views are worked on.
    case failed(VersionID, KappaError)
    /// A version has stopped for a reason that passes, such as a full disk, and is tried again after a time
    /// that grows from try to try. Readers of a live one see its rows as of its last commit meanwhile.
    case retrying(VersionID, KappaError, after: Duration)
    /// The code of a version's view has been at work on some events for long: for ten seconds, then for twenty,
    /// and so on. What is worked on with it waits. Rows and position stay as of the last commit; a process
    /// whose view never returns can be killed, and loses nothing.
    case slow(VersionID, reason: String)
    /// A version that was tried again, or stood still, works.
    case recovered(VersionID)
    /// A view cannot be worked out; the others are worked on.
    case invalid(view: String, KappaError)
    /// The code of a version's view has crashed before the program was started again: the events at hand are
    /// applied once more, for this version alone, to find out which one it is.
    case suspected(VersionID, from: Offset, to: Offset)
    /// A version has its first dead letter, or its first since the work on it began.
    case firstDeadLetter(VersionID, DeadLetter)
    /// The write-ahead log of a version's file grows, as somebody reads an old state of the file: a transaction
    /// that stays open, a slow reader. Once, until it is small again.
    case logGrows(VersionID, reason: String)
    /// A snapshot could not be made; the work on the version continues.
    case snapshotFailed(VersionID, KappaError)

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
            }
    }

    /// The version that it is about; nil where it is about a view that has none.
    public var version: VersionID? {
        switch self {
        case .started(let id, _), .heldElsewhere(let id, _), .caughtUp(let id, _),
            .heldBack(let id, _), .refused(let id, _), .identical(let id), .released(let id, _),
            .failed(let id, _), .retrying(let id, _, _), .recovered(let id), .slow(let id, _),
            .suspected(let id, _, _), .firstDeadLetter(let id, _), .logGrows(let id, _),
            .snapshotFailed(let id, _):
            id
        case .invalid: nil
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
