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
        if let error = error() { throw error }
    }

    /// What ``check()`` throws.
    /// - Parameter name: What the definition is called where a view has several.
    func error(ofReplayOf name: String? = nil) -> KappaError? {
        guard let notice, notice.isProof || notice.stage == .opening else { return nil }
        return id.map { CrashRecovery.error($0, notice, in: folder) }
            ?? CrashRecovery.error(aside: definition, name, notice, in: folder)
    }

    /// The pieces in which to get from an offset to another one.
    func stretches(from offset: Offset, to end: Offset) -> [CrashRecovery.Stretch] {
        let suspect =
            notice.map { CrashRecovery.stretches(past: $0, from: offset, limit: end) } ?? []
        return suspect + [CrashRecovery.Stretch(end: end, isSuspect: false)]
    }

    /// A part of the log that several definitions get past together.
    struct Piece {
        var end: Offset
        var batchEvents: Int?
        /// For each definition, whether a crash here is due to the events that are suspect.
        var isSuspect: [Bool]
    }

    /// Cuts wherever one of several definitions has to be cut, since each may crash on events of its own.
    static func pieces(_ ways: [[CrashRecovery.Stretch]]) -> [Piece] {
        Set(ways.joined().map(\.end)).sorted().map { end in
            let stretches = ways.compactMap { way in way.first { $0.end >= end } }
            return Piece(
                end: end, batchEvents: stretches.compactMap(\.batchEvents).min(),
                isSuspect: stretches.map(\.isSuspect))
        }
    }
}
