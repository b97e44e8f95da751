import Glibc
import KappaCore

/// `kappa replay-aside`: the replay that `kappa verify` runs in another process. It prints its progress, one
/// offset a line.
struct ReplayAsideCommand: Command {
    static let spec = CommandSpec(
        name: "replay-aside", summary: "replays a version into a file; for kappa verify",
        arguments: [ArgumentSpec(name: "VIEW@N", isView: true)],
        options: [
            OptionSpec(name: "--file", value: "FILE", summary: "the file to make or to continue"),
            OptionSpec(name: "--until", value: "OFFSET", summary: "where to stop"),
        ],
        isHidden: true,
        make: { try ReplayAsideCommand($0) })

    /// It only prints its progress, so repeated output does no harm.
    var restarts: Bool { true }
    private let reference: VersionReference
    private let file: String
    private let end: Offset

    init(_ arguments: ParsedArguments) throws(KappaError) {
        reference = try VersionReference(arguments.positional[0])
        guard let file = arguments.string("--file"), let end = try arguments.offset("--until")
        else {
            throw KappaError(.usage, "kappa replay-aside lacks --file or --until")
        }
        self.file = file
        self.end = end
    }

    func run(_ context: Context) throws -> Int32 {
        // On one core, no two threads run at the same time: one more difference that must not change a row.
        _ = WorkerThread.stayOnOneCore()
        let entry = try Catalog(context.data).resolve(reference)
        let definition = try context.views.definition(of: entry)
        let clock = ContinuousClock()
        var last = clock.now
        try Replay(entry.id, file: file, end: end).run(definition, in: context.data) { done, _ in
            guard clock.now - last > .milliseconds(100) else { return }
            last = clock.now
            _ = try Program.print("\(done)")
        }
        return 0
    }
}
