/// What a publication has open: the sink with its transaction, and the follower of the view. After an error all of
/// it is given up, and the sink says again where it is.
final class PublicationSession {
    let sink: any ChangeSink
    var follower: ChangeFollower
    /// What the sink has committed.
    var position: SinkPosition?
    /// Why all rows have to be written; nil if the sink can be brought forward from its position.
    var needsLoad: PublicationReport.LoadReason? = .isEmpty
    /// The tables of the version whose changes are read, as a sink sees them.
    private(set) var tables: [TableSchema] = []
    var pending = PendingChanges(after: .zero)
    private var digests: [VersionNumber: String] = [:]
    private var isOpen = false

    init(_ sink: any ChangeSink, _ follower: ChangeFollower) {
        self.sink = sink
        self.follower = follower
    }

    /// From here on changes are of this version.
    func note(_ reader: VersionReader) {
        tables = reader.tables.map { TableSchema(name: $0.name, columns: $0.columns) }
        digests[VersionNumber(reader.number)] = reader.digest
    }

    // MARK: The sink's transaction

    /// Begins a transaction without rows.
    func load(_ reader: VersionReader) throws(KappaError) {
        note(reader)
        pending = PendingChanges(after: try reader.checkpoint().offset)
        needsLoad = nil
        isOpen = true
        try sink.begin(anew: tables)
    }

    /// Commits the changes up to the last place where a transaction may end; false if there is none, or if nothing
    /// has changed since the last one.
    func commit(_ view: String) throws(KappaError) -> Bool {
        guard let end = pending.end else { return false }
        if end.count == 0, !isOpen, end.place == position?.change { return false }
        guard let digest = digests[end.place.version] else {
            throw KappaError(.bug, "the digest of a version is not known", at: "\(end.place)")
        }
        try apply(pending.takeUpToEnd())
        let position = SinkPosition(
            view: view, change: end.place, offset: end.offset, digest: digest)
        try sink.commit(position)
        isOpen = false
        self.position = position
        return true
    }

    /// Applies all changes and leaves the transaction open.
    func applyAll() throws(KappaError) { try apply(pending.takeAll()) }

    private func apply(_ changes: [SinkChange]) throws(KappaError) {
        if !isOpen {
            isOpen = true
            try sink.begin(anew: nil)
        }
        if !changes.isEmpty { try sink.apply(changes) }
    }

    func rollBack() {
        if isOpen { sink.rollBack() }
        isOpen = false
    }

    func close() {
        rollBack()
        sink.close()
    }
}

/// Changes that were read and are not applied yet, and the last place among them where a transaction may end.
///
/// That is where a commit of the version ends. While all rows of a version arrive, or the difference of two, rows and
/// position agree only after the last of them.
struct PendingChanges {
    struct End {
        /// How many changes come before it.
        var count: Int
        var place: ChangeID
        /// The offset of the last change before it.
        var offset: Offset
        fileprivate var bytes: Int
    }

    private(set) var changes: [SinkChange] = []
    private(set) var end: End?
    private var bytes = 0
    private var lastOffset: Offset
    /// The id of the last change, unless more changes of its move are to come.
    private var lastPlace: ChangeID?

    private static let mostBytes = 8 << 20

    /// - Parameter offset: That of the last change before these.
    init(after offset: Offset) { lastOffset = offset }

    func isFull(_ most: Int) -> Bool { changes.count >= most || bytes >= Self.mostBytes }

    /// - Parameter row: What it does to a row; nil for a promotion.
    mutating func add(_ change: Change, _ row: SinkChange?) {
        // The changes of one commit have one offset.
        if let lastPlace, change.offset != lastOffset || change.operation == .promoted {
            end = End(
                count: changes.count, place: lastPlace, offset: lastOffset, bytes: bytes)
        }
        lastOffset = change.offset
        lastPlace = change.id?.version == change.version ? change.id : nil
        guard let row else { return }
        changes.append(row)
        bytes += change.bytes
    }

    /// A transaction may end after all changes.
    mutating func end(at place: ChangeID) {
        lastPlace = place
        end = End(count: changes.count, place: place, offset: lastOffset, bytes: bytes)
    }

    /// Removes the changes before ``end``, and returns them.
    mutating func takeUpToEnd() -> [SinkChange] {
        guard let end else { return [] }
        let taken = Array(changes[..<end.count])
        changes.removeFirst(end.count)
        bytes -= end.bytes
        self.end = nil
        return taken
    }

    mutating func takeAll() -> [SinkChange] {
        defer { (changes, bytes, end) = ([], 0, nil) }
        return changes
    }
}
