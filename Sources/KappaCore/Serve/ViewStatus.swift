/// The status of one version of a view: a row of `kappa status`.
public struct ViewStatus: Hashable, Sendable {
    /// Which version it is.
    public var version: VersionID
    public var state: VersionState
    /// Whether readers see it.
    public var isLive: Bool
    /// The offset of the next event that it will apply.
    public var position: Offset
    /// The offset that the next event of the log will have.
    public var logEnd: Offset
    /// The number of events that it has applied, that were late, and that it could not take (dead letters).
    public var applied: UInt64
    public var late: UInt64
    public var dead: UInt64
    /// The number of rows in all tables that readers see.
    public var rows: Int
    /// Why it has stopped, has failed, or waits for somebody; nil if there is nothing to report.
    public var reason: String?

    /// How many events its position is short of the log's end.
    public var lag: Int { logEnd - position }

    init(_ status: VersionStatus) {
        version = status.id
        state = status.state
        isLive = status.isLive
        position = status.position
        logEnd = status.logEnd
        applied = status.counters.applied
        late = status.counters.late
        dead = status.counters.dead
        rows = status.rows
        reason = status.reason
    }
}

extension Kappa {
    /// The status of every version of every view in the folder, by view and number.
    ///
    /// It opens each version's file, and recounts its rows if the version has advanced since the last call
    /// and counting does not cost too much of the time.
    public func status() async throws -> [ViewStatus] {
        let (data, sizes) = (data, sizes)
        return try await working {
            try sizes.withLock { sizes in
                try VersionStatus.all(Catalog(data), cache: sizes).map { ViewStatus($0) }
            }
        }
    }
}
