import KappaCore

/// Shows the progress of a scratch version, and lets a person interrupt it.
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

    /// Runs `body` and then removes the bar, also after an error.
    func during<R>(_ body: () throws -> R) rethrows -> R {
        defer { line.clear() }
        return try body()
    }

    /// Fewer events than this take too little time for a bar.
    private static let fewEvents: UInt64 = 100_000
}
