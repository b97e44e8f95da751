/// Iterates over the dead letters of a version, in the order of their offsets.
final class DeadLetterCursor {
    private let select: SQLiteStatement

    init(_ connection: SQLiteConnection, limit: Int? = nil) throws(KappaError) {
        select = try connection.prepare(
            "SELECT offset, reason, event FROM _kappa_dead ORDER BY offset LIMIT ?")
        select.bind(0, Int64(limit ?? -1))
    }

    func next() throws(KappaError) -> DeadLetter? {
        guard try select.step() else { return nil }
        return DeadLetter(
            offset: Offset(UInt64(bitPattern: select.integer(0))), reason: select.string(1),
            event: select.string(2))
    }
}

/// Iterates over the chunks that a version's key index has under one hash, in log order.
final class KeyIndexChunks {
    private let select: SQLiteStatement
    private let keepsTimes: Bool
    /// What comes after the chunks; nil if nothing does.
    private let recent: [KeyIndexFormat.Entry]?
    private var isAtEnd = false

    init(_ select: SQLiteStatement, recent: [KeyIndexFormat.Entry], keepsTimes: Bool) {
        self.select = select
        self.recent = recent.isEmpty ? nil : recent
        self.keepsTimes = keepsTimes
    }

    /// The entries of the next chunk; nil after the last.
    func next() throws(KappaError) -> [KeyIndexFormat.Entry]? {
        if isAtEnd { return nil }
        guard try select.step() else {
            isAtEnd = true
            return recent
        }
        return try KeyIndexFormat.entries(
            from: UInt64(bitPattern: select.integer(0)), select.blob(1), keepsTimes: keepsTimes)
    }
}
