import KappaCore

/// Shows how far something that is built aside is, and lets a person stop it.
struct ScratchProgress {
    private let line: ProgressLine

    init(_ label: String) { line = ProgressLine(label) }

    /// For ``ScratchVersion/Progress``.
    func show(_ done: Offset, _ end: Offset) throws {
        try Interrupt.check()
        if end.rawValue > Self.fewEvents {
            line.show(Int(done.rawValue), of: Int(end.rawValue))
        }
    }

    /// Takes the bar away behind `body`, however it ends.
    func during<R>(_ body: () throws -> R) rethrows -> R {
        defer { line.clear() }
        return try body()
    }

    /// A bar is for what takes a while.
    private static let fewEvents: UInt64 = 100_000
}
