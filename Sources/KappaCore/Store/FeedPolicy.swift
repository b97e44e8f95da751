/// How much of a version's change feed is kept for followers. What either rule does not keep is deleted; a follower
/// that stopped before that begins again with all rows.
package struct FeedPolicy: Equatable, Sendable {
    /// Changes that are older are not kept, in microseconds.
    package var ageMicros: Int64
    /// The newest changes are kept that take this many bytes, as they are stored.
    package var bytes: Int

    package init(ageMicros: Int64 = 7 * 86_400_000_000, bytes: Int = 16 << 20) {
        self.ageMicros = ageMicros
        self.bytes = bytes
    }
}
