import CKappa
import Glibc
import KappaCore
import Synchronization

/// Starts the program again, as the same process, after a crash of a view's code that is marked.
///
/// Each such crash narrows down which event it is due to, until the view has failed and the others go on
/// without it; see ``CrashMark``. A crash that no mark knows of ends the program as ever.
enum Restart {
    private static let variable = "KAPPA_RESTARTS"
    private static let notices = "KAPPA_CRASHED"
    /// No program crashes in earnest so often within ``resetSeconds``.
    private static let mostRestarts = 500
    private static let resetSeconds = 600

    /// To be called first of all, while nothing has blocked signals yet.
    static func begin() { kappa_crash_keep_mask() }

    /// Allows it for this command.
    /// - Parameter always: Also after it has begun to print, which would then come twice.
    static func allow(always: Bool) {
        isForbiddenByOutput.store(!always, ordering: .relaxed)
        let past = environmentText(variable)?.split(separator: " ").compactMap { UInt64($0) } ?? []
        let now = UInt64(SystemClock.monotonicSeconds())
        var (run, count, since) = (UInt64.random(in: 1...(.max)), UInt64(0), now)
        if past.count == 3 {
            run = past[0]
            InheritedLeases.find()
            if now < past[2] + UInt64(resetSeconds) { (count, since) = (past[1], past[2]) }
            // Its name as `ps` shows it was lost.
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

    /// Something is about to be printed.
    static func willPrint() {
        if isForbiddenByOutput.load(ordering: .relaxed) { forbid() }
    }

    /// From now on a crash ends the program: somebody wants it to stop.
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
