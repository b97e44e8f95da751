/// Finds the event on which a view's code crashes in a replay that leaves no crash mark in the data folder.
///
/// The program restarts itself and is told which events were in progress. The replay then applies these in
/// smaller and smaller pieces, until one single event crashes.
struct AsideCrash {
    /// For the thread that replays.
    let mark: CrashMark
    private let definition: ViewDefinition
    private let id: VersionID?
    private let folder: DataFolder
    /// The crash after which this program restarted itself.
    private let notice: CrashStamp?

    /// - Parameter id: The version whose own file is advanced; nil for a replay aside.
    init(of definition: ViewDefinition, as id: VersionID? = nil, in folder: DataFolder) {
        self.definition = definition
        self.id = id
        self.folder = folder
        // A view may have several definitions, and only one of them may crash.
        let name = "\(definition.name)=\(definition.digest)"
        mark = CrashMark(for: name)
        notice = CrashMark.notice(of: name, .opening, .applying, .committing)
    }

    /// Whether this program restarted after a crash of the view's code.
    var isKnown: Bool { notice != nil }

    /// - Throws: On which event the view's code crashes, if that is known, or that it crashes when its state
    ///   is read.
    func check() throws(KappaError) {
        if let error = error() { throw error }
    }

    /// The error that ``check()`` throws.
    /// - Parameter name: The name of the definition, if the view has several.
    func error(ofReplayOf name: String? = nil) -> KappaError? {
        guard let notice, notice.isProof || notice.stage == .opening else { return nil }
        return id.map { CrashRecovery.error($0, notice, in: folder) }
            ?? CrashRecovery.error(aside: definition, name, notice, in: folder)
    }

    /// The stretches in which to replay from one offset to another.
    func stretches(from offset: Offset, to end: Offset) -> [CrashRecovery.Stretch] {
        let suspect =
            notice.map { CrashRecovery.stretches(past: $0, from: offset, limit: end) } ?? []
        return suspect + [CrashRecovery.Stretch(end: end, isSuspect: false)]
    }

    /// A part of the log that several definitions replay together.
    struct Piece {
        var end: Offset
        var batchEvents: Int?
        /// For each definition, whether a crash here is due to the suspect events.
        var isSuspect: [Bool]
    }

    /// Cuts the log at every end of a stretch of any definition, since each may crash on different events.
    static func pieces(_ ways: [[CrashRecovery.Stretch]]) -> [Piece] {
        Set(ways.joined().map(\.end)).sorted().map { end in
            let stretches = ways.compactMap { way in way.first { $0.end >= end } }
            return Piece(
                end: end, batchEvents: stretches.compactMap(\.batchEvents).min(),
                isSuspect: stretches.map(\.isSuspect))
        }
    }
}
