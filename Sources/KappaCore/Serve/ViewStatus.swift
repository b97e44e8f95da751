/// How one version of a view is doing: a row of `kappa status`.
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
    /// Events that it has taken, that came too late for it, and that it could not take.
    public var applied: UInt64
    public var late: UInt64
    public var dead: UInt64
    /// Rows of all its tables.
    public var rows: Int
    /// Why it stands still, has failed, or waits for somebody; nil where there is nothing to say.
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
    /// How every version of every view in the folder is doing, by view and number.
    ///
    /// It opens each version's file, and counts its rows where they have changed since the last call.
    public func status() async throws -> [ViewStatus] {
        let (data, sizes) = (data, sizes)
        return try await working {
            try sizes.withLock { sizes in
                try VersionStatus.all(Catalog(data), cache: sizes).map { ViewStatus($0) }
            }
        }
    }
}
