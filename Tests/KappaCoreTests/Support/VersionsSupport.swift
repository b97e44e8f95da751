import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// The events of the tests of versions: a key and a number.
struct Tick: Event, Encodable {
    var k: String
    var v: Int
    static let eventType: String? = nil

    /// The event as a line of the log.
    static func line(_ k: String, _ v: Int) -> String { #"{"k":"\#(k)","v":\#(v)}"# }
}

/// Counts the events of each key and sums their numbers. Another digest is another build's definition.
func tally(_ digest: String, below limit: Int = .max, named name: String = "tally") -> View<Columns>
{
    View(name, digest: digest) {
        Events(Tick.self)
            .filter { $0.v < limit }
            .grouped(by: \.k)
            .aggregate(.count().as("n"), .sum(\.v).as("total"))
    }
}

/// A data folder for one test.
final class VersionsFolder {
    let temporary: TemporaryFolder
    let data: DataFolder
    let writer: LogWriter

    /// - Parameter inMemory: Whether commits need not wait for a disk.
    init(inMemory: Bool = false) throws {
        temporary = try TemporaryFolder(inMemory: inMemory)
        data = DataFolder(temporary.path)
        writer = try LogWriter(data.log)
    }

    func append(_ lines: [String]) throws {
        guard !lines.isEmpty else { return }
        var text = lines.joined(separator: "\n")
        _ = try writer.append(try text.withUTF8 { try EventLines(UnsafeRawBufferPointer($0)) })
    }

    /// Appends `count` numbers under keys a, b, c, ….
    func append(ticks count: Int, keys: Int = 5, first: Int = 0) throws {
        try append(
            (first..<(first + count)).map { Tick.line("k\($0 % keys)", $0 % 100) })
    }

    func catalog() throws -> Catalog { try Catalog(data) }

    /// Builds a version to the log's end, as `kappa run --until-caught-up` does.
    func catchUp(
        _ views: [any AnyView], rebuilds: Bool = false, promotes: Bool = true,
        until end: Offset? = nil, named names: [String]? = nil
    ) throws {
        var options = ViewRunner.Options()
        options.views = names
        options.follows = false
        options.rebuilds = rebuilds
        options.promotes = promotes
        options.end = end
        try ViewRunner(data, ViewSet(views), options: options).run()
    }

    func reader(_ view: String, _ number: Int) throws -> VersionReader {
        try VersionReader(data.file(VersionID(view, VersionNumber(number))))
    }

    /// The rows of a version's first table, each as CSV.
    func rows(_ view: String, _ number: Int) throws -> [String] { try csv(reader(view, number)) }

    func csv(_ reader: VersionReader) throws -> [String] {
        var rows: [String] = []
        for (index, table) in reader.tables.enumerated() {
            try reader.forEachRow(table: index) { cursor in
                rows.append(
                    table.name + ":" + table.values(cursor).map(\.csvText).joined(separator: ","))
            }
        }
        return rows
    }

    func entry(_ view: String, _ number: Int) throws -> VersionEntry? {
        try catalog().entries(of: view).first { $0.id.number == VersionNumber(number) }
    }
}

/// A runner on its own thread: one build of a program.
final class RunningBuild: Sendable {
    let runner: ViewRunner
    private let thread: WorkerThread
    private let result = Monitor<Result<Void, any Error>?>(nil)
    private let reports: Monitor<[String]>

    init(
        _ data: DataFolder, _ views: [any AnyView],
        change: (inout ViewRunner.Options) -> Void = { _ in }
    ) throws {
        var options = ViewRunner.Options()
        change(&options)
        let reports = Monitor<[String]>([])
        let runner = try ViewRunner(data, ViewSet(views), options: options) { report in
            reports.withLock { $0.append(Self.text(report)) }
        }
        self.reports = reports
        self.runner = runner
        let result = result
        thread = try WorkerThread("test-build") {
            let outcome = Result { try runner.run() }
            result.withLock { $0 = outcome }
        }
    }

    /// What it reported, such as `promoted tally@2`.
    var said: [String] { reports.withLock { $0 } }
    var isDone: Bool { result.withLock { $0 != nil } }

    /// Waits for a condition that this build brings about; throws an error of the build at once.
    func until(
        _ what: String, sourceLocation: SourceLocation = #_sourceLocation,
        _ isSo: () throws -> Bool
    ) throws {
        try waitFor(what, sourceLocation: sourceLocation) {
            try result.withLock { $0 }?.get()
            return try isSo()
        }
    }

    /// Waits for its end.
    func wait() throws {
        thread.join()
        try result.withLock { $0 }?.get()
    }

    func stop() throws {
        runner.stop()
        try wait()
    }

    private static func text(_ report: ViewRunner.Report) -> String {
        switch report {
        case .started(let id, let action): "started \(id) \(action.rawValue)"
        case .heldElsewhere(let id, _): "left \(id)"
        case .caughtUp(let id, _): "caught up \(id)"
        case .promoted(let change): "promoted \(change.view)@\(change.to)"
        case .heldBack(let id, _): "held back \(id)"
        case .refused(let judgement): "refused \(judgement.candidate)"
        case .identical(let judgement): "identical \(judgement.candidate)"
        case .invalid(let view): "invalid \(view.name)"
        case .suspected(let id, _): "suspected \(id)"
        case .released(let id, _): "released \(id)"
        case .retrying(let id, let error, _): "retrying \(id) \(error.what)"
        case .recovered(let id): "recovered \(id)"
        case .slow(let id, let reason): "slow \(id): \(reason)"
        case .failed(let id, let error): "failed \(id) \(error.what)"
        case .deadLetter(let id, let letter): "dead letter of \(id) at \(letter.offset)"
        case .logGrows(let id, let reason): "log of \(id) grows: \(reason)"
        case .snapshotFailed(let id, let error): "no snapshot of \(id) \(error.what)"
        case .trimmed(let outcome): "trimmed \(outcome.first) \(outcome.heldBack ?? "")"
        case .trimFailed(let error): "not trimmed \(error.what)"
        case .collected(let id, _): "dropped \(id)"
        }
    }
}

/// Waits for a condition; fails if it does not hold in reasonable time.
func waitFor(
    _ what: String, seconds: Double = 30, sourceLocation: SourceLocation = #_sourceLocation,
    _ isSo: () throws -> Bool
) throws {
    let start = ContinuousClock.now
    while try !isSo() {
        guard ContinuousClock.now - start < .seconds(seconds) else {
            Issue.record("\(what): not within \(seconds) s", sourceLocation: sourceLocation)
            throw WaitedTooLong()
        }
        Pause.briefly()
    }
}

struct WaitedTooLong: Error {}
