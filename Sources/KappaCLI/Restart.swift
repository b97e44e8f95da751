import CKappa
import Glibc
import KappaCore
import Synchronization

/// Restarts the program, in the same process, after a crash of a view's code that a crash mark has recorded.
///
/// Each such crash narrows down which event causes it, until the view has failed and the others continue
/// without it; see ``CrashMark``. Any other crash ends the program as usual.
enum Restart {
    private static let variable = "KAPPA_RESTARTS"
    private static let notices = "KAPPA_CRASHED"
    /// A program that crashes more often than this within ``resetSeconds`` is no longer restarted.
    private static let mostRestarts = 500
    private static let resetSeconds = 600

    /// Call this first of all, before anything blocks signals.
    static func begin() { kappa_crash_keep_mask() }

    /// Allows restarts for this command.
    /// - Parameter always: Whether to restart even after it has begun to print, so that output may repeat.
    static func allow(always: Bool) {
        isForbiddenByOutput.store(!always, ordering: .relaxed)
        let past = environmentText(variable)?.split(separator: " ").compactMap { UInt64($0) } ?? []
        let now = UInt64(SystemClock.monotonicSeconds())
        var (run, count, since) = (UInt64.random(in: 1...(.max)), UInt64(0), now)
        if past.count == 3 {
            run = past[0]
            InheritedLeases.find()
            if now >= past[2], now - past[2] < UInt64(resetSeconds) {
                (count, since) = (past[1], past[2])
            }
            // The restart lost the name that `ps` shows.
            let program = CommandLine.arguments.first ?? "kappa"
            kappa_name_thread(String(program.split(separator: "/").last ?? "kappa"))
        }
        let told = environmentText(notices) ?? ""
        CrashMark.notices.withLock {
            $0 = told.split(separator: ";").compactMap { CrashStamp(notice: String($0)) }
        }
        unsetenv(variable)
        unsetenv(notices)
        CrashMark.run.store(run, ordering: .relaxed)
        if count >= UInt64(mostRestarts) { return }
        let environment = Self.environment() + ["\(variable)=\(run) \(count + 1) \(since)"]
        withTexts(CommandLine.arguments) { arguments in
            withTexts(environment) { environment in
                kappa_crash_allow_restart(arguments, environment, "\(notices)=\(told)")
            }
        }
    }

    private static let isForbiddenByOutput = Atomic<Bool>(false)

    /// Called before anything is printed.
    static func willPrint() {
        if isForbiddenByOutput.load(ordering: .relaxed) { forbid() }
    }

    /// From now on a crash ends the program, for instance because it was asked to stop.
    static func forbid() { kappa_crash_forbid_restart() }

    private static func environmentText(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    private static func environment() -> [String] {
        var variables: [String] = []
        var next = environ
        while let variable = next.pointee {
            variables.append(String(cString: variable))
            next += 1
        }
        return variables
    }

    private static func withTexts(
        _ texts: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Void
    ) {
        let copies = texts.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        let pointers = copies.map { UnsafePointer($0) } + [nil]
        pointers.withUnsafeBufferPointer { if let start = $0.baseAddress { body(start) } }
    }
}
