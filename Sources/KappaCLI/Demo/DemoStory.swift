import Glibc
import KappaCore

/// The demo, step by step.
struct DemoStory {
    private let folder: DataFolder
    private let events: Int
    private let output = Output()

    init(_ folder: DataFolder, events: Int) {
        self.folder = folder
        self.events = events
    }

    func tell() throws {
        let feed = try DemoFeed(folder)
        try fill(feed)
        title("2. A view is a few lines of Swift")
        say(indented(DemoViews.beforeText))
        try build()
        let feeding = try feed.start(perSecond: 3_000)
        let old = try Build("old", DemoViews.before, folder, follows: true)
        try follow(old)
        let new = try change()
        try compare()
        try switchOver(old, new)
        feed.stop()
        feeding.join()
        try feed.check()
        for build in [old, new] { build.stop() }
        for build in [old, new] { try build.wait() }
        say("\nThat is all. README.md says what to do next.")
    }

    // MARK: Steps

    private func fill(_ feed: DemoFeed) throws {
        title("1. Events go into a durable log")
        let seconds = try timed { try feed.append(events) }
        let rate = ProgressLine.short(Double(events) / seconds)
        say("   \(ProgressLine.grouped(events)) events appended and synced, \(rate) a second")
    }

    private func build() throws {
        let build = try Build("first", DemoViews.before, folder, follows: false)
        let seconds = try timed {
            let line = ProgressLine("   replay")
            while !build.isDone {
                let (offset, end) = build.runner.progress
                line.show(Int(offset.rawValue), of: Int(end.rawValue))
                Pause.briefly()
            }
            line.clear()
            try build.wait()
        }
        let rate = ProgressLine.short(Double(events) / seconds)
        say(
            "   built from offset zero in \(ProgressLine.hundredths(seconds)) s "
                + "(\(rate) events a second), and live as spending@1")
    }

    private func follow(_ old: Build) throws {
        title("3. The same definition follows the log: from now on 3,000 events a second arrive")
        for _ in 0..<4 {
            usleep(600_000)
            let statuses = try VersionStatus.all(try Catalog(folder))
            for status in statuses where status.isLive {
                say(
                    "   spending@\(status.id.number) at offset "
                        + "\(ProgressLine.grouped(Int(status.position.rawValue))), "
                        + "lag \(status.lag), \(ProgressLine.grouped(status.rows)) rows")
            }
        }
        try old.check()
    }

    private func change() throws -> Build {
        title("4. The definition changes: one more line")
        say(indented(DemoViews.changedLine))
        say("   The new build makes spending@2 from offset zero, beside the live one:")
        let new = try Build("new", DemoViews.after, folder, follows: true, promotes: false)
        while try state(2) != .ready {
            try new.check()
            Pause.briefly()
        }
        usleep(300_000)
        try printStatus()
        return new
    }

    private func compare() throws {
        title("5. Which rows differ? Both versions at the same offset, while events arrive:")
        let alignment = try Alignment(id(1), id(2), in: folder, DemoViews.before)
        let printer = DiffPrinter(alignment, .text, output)
        var left = 5
        let seconds = try timed {
            let summary = try Diff(alignment.old, alignment.new).run { difference in
                if left > 0 { try printer.print(difference) }
                left -= 1
            }
            if left < 0 { try output.write("… \(-left) more\n") }
            try printer.finish(summary)
        }
        say("   compared in \(ProgressLine.hundredths(seconds)) s")
    }

    private func switchOver(_ old: Build, _ new: Build) throws {
        title("6. The switch: one step, and readers never go back")
        var outcome = Promotion.Outcome.lags(id(2), needs: .zero)
        while case .lags = outcome {
            outcome = try Promotion(try Catalog(folder)).promote([id(2)], reason: "demo")
            Pause.briefly()
        }
        while Lease.holder(of: id(1), in: folder) != nil {
            try old.check()
            Pause.briefly()
        }
        say("   the old build has released its lease, and stands by for a rollback")
        usleep(700_000)
        try printStatus()
        say("   (one command goes back: kappa rollback spending)")
    }

    // MARK: Helpers

    private func id(_ number: Int) -> VersionID { VersionID("spending", VersionNumber(number)) }

    private func state(_ number: Int) throws -> VersionState? {
        try Catalog(folder).entries().first { $0.id == id(number) }?.state
    }

    private func printStatus() throws {
        let printer = RecordPrinter(
            ["version", "state", "position", "lag", "rows"], .text, output)
        for status in try VersionStatus.all(try Catalog(folder)) {
            try printer.print([
                .text("spending@\(status.id.number)"), .text(status.state.rawValue),
                .integer(Int64(status.position.rawValue)), .integer(Int64(status.lag)),
                .integer(Int64(status.rows)),
            ])
        }
        try printer.finish()
    }

    private func title(_ text: String) {
        say("\n\(StyledText("\(text)").styled(.bold))" as StyledText)
    }

    func say(_ text: String) { say("\(StyledText(stringLiteral: text))" as StyledText) }

    private func say(_ text: StyledText) {
        try? output.write("\(text)\n" as StyledText)
        try? output.flush()
    }

    private func indented(_ text: String) -> String {
        text.split(separator: "\n").map { "       \($0)" }.joined(separator: "\n")
    }

    private func timed(_ body: () throws -> Void) rethrows -> Double {
        let start = SystemClock.monotonicSeconds()
        try body()
        return SystemClock.monotonicSeconds() - start
    }
}

/// A running build of the program, which would normally be its own process.
private final class Build: Sendable {
    let runner: ViewRunner
    private let thread: WorkerThread
    private let result: Monitor<Result<Void, any Error>?>

    init(
        _ name: String, _ views: ViewSet, _ folder: DataFolder, follows: Bool,
        promotes: Bool = true
    ) throws {
        var options = ViewRunner.Options()
        options.follows = follows
        options.promotes = promotes
        let runner = try ViewRunner(folder, views, options: options)
        let result = Monitor<Result<Void, any Error>?>(nil)
        self.runner = runner
        self.result = result
        thread = try WorkerThread("build-\(name)") {
            let outcome = Result { try runner.run() }
            result.withLock { $0 = outcome }
        }
    }

    var isDone: Bool { result.withLock { $0 != nil } }
    func stop() { runner.stop() }

    /// Waits for the build to end.
    func wait() throws {
        thread.join()
        try check()
    }

    func check() throws { try result.withLock { $0 }?.get() }
}
