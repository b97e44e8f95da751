/// Finds the event on which a view's code crashes in a replay that no version's file tells of.
///
/// The program starts itself again and is told which events were at hand; the replay then applies these in
/// smaller and smaller pieces, until a single event crashes alone.
struct AsideCrash {
    /// For the thread that replays.
    let mark: CrashMark
    private let definition: ViewDefinition
    private let id: VersionID?
    private let folder: DataFolder
    /// The crash that this program has started itself again after.
    private let notice: CrashStamp?

    /// - Parameter id: The version whose own file is brought forward; nil for a replay aside.
    init(of definition: ViewDefinition, as id: VersionID? = nil, in folder: DataFolder) {
        self.definition = definition
        self.id = id
        self.folder = folder
        // A view may have several definitions, of which one crashes.
        let name = "\(definition.name)=\(definition.digest)"
        mark = CrashMark(for: name)
        notice = CrashMark.notice(of: name, .opening, .applying, .committing)
    }

    /// Whether the view's code has crashed a moment ago.
    var isKnown: Bool { notice != nil }

    /// - Throws: Which event the view's code crashes on, where that is known, or that it does when its state
    ///   is read.
    func check() throws(KappaError) {
        guard let notice, notice.isProof || notice.stage == .opening else { return }
        throw id.map { CrashRecovery.error($0, notice, in: folder) }
            ?? CrashRecovery.error(aside: definition, notice, in: folder)
    }

    /// The pieces in which to get from an offset to another one.
    func stretches(from offset: Offset, to end: Offset) -> [CrashRecovery.Stretch] {
        let suspect =
            notice.map { CrashRecovery.stretches(past: $0, from: offset, limit: end) } ?? []
        return suspect + [CrashRecovery.Stretch(end: end, isSuspect: false)]
    }
}
