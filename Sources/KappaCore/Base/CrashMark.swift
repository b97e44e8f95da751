import CKappa
import Glibc
import Synchronization

/// What is being done for a version just now, so that a crash in the code of its view can be told from one
/// in another's.
///
/// A view's closures may overflow an integer, look past the end of an array, or call themselves without
/// end: the processor then raises a signal, and the process is over. The handler of the signal finds the
/// mark of the thread and stamps it. The mark is a file beside the version, mapped into memory, so it
/// outlives the process; whoever kills the process from outside leaves it without a stamp.
///
/// One thread uses a mark at a time.
package final class CrashMark {
    /// The kind of work.
    package enum Stage: UInt32, Sendable {
        /// A view's state is read.
        case opening
        /// Handlers are called with events.
        case applying
        /// Rows are encoded and written, and second steps are made.
        case committing
        /// Gates look at two versions.
        case judging
        /// The types of events and rows are tried out.
        case learning
    }

    private let memory: UnsafeMutablePointer<kappa_crash_mark>
    /// What an earlier process has left in it.
    package let found: CrashStamp?
    /// For a thread that watches how the work goes.
    package let pulse = WorkPulse()

    /// A mark in a version's file, which is made where it is not there. Work goes on without one where
    /// that fails, as on a full disk: nil.
    package init?(at path: String, for name: String) {
        guard let mapped = Self.map(path) else { return nil }
        memory = mapped
        // What crashed last is kept until the version is past it, whatever ends the process before that.
        if mapped[0].signal != 0 { mapped[1] = mapped[0] }
        found = CrashStamp(mapped[1])
        begin(name, isKept: true)
    }

    /// Forgets what was found: the version is past it.
    package func forget() {
        if memory.pointee.is_kept != 0 { memory[1].signal = 0 }
        isAlone = false
    }

    /// A mark in memory, for work that no version's file is changed by.
    package init(for name: String) {
        memory = .allocate(capacity: 1)
        memory.initialize(to: kappa_crash_mark())
        found = nil
        begin(name, isKept: false)
    }

    deinit {
        if memory.pointee.is_kept != 0 {
            kappa_crash_unmap(memory)
        } else {
            memory.deallocate()
        }
    }

    private func begin(_ name: String, isKept: Bool) {
        memory.pointee.format = CrashStamp.format
        memory.pointee.program = Self.program
        memory.pointee.run = Self.run.load(ordering: .relaxed)
        memory.pointee.signal = 0
        memory.pointee.is_alone = 0
        memory.pointee.is_kept = isKept ? 1 : 0
        withUnsafeMutableBytes(of: &memory.pointee.name) { bytes in
            bytes.initializeMemory(as: UInt8.self, repeating: 0)
            bytes.copyBytes(from: name.utf8.prefix(bytes.count - 1))
        }
    }

    /// A file of the mark's size, whose bytes have their place on the disk: a mapped page without one would
    /// end the process where the disk is full.
    private static func map(_ path: String) -> UnsafeMutablePointer<kappa_crash_mark>? {
        guard let descriptor = try? SystemFiles().open(path, O_RDWR | O_CREAT | O_NOFOLLOW) else {
            return nil
        }
        let file = OpenFile(descriptor, path: path)
        let size = 2 * MemoryLayout<kappa_crash_mark>.size
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return nil }
        if Int(status.st_size) != size {
            let empty = [UInt8](repeating: 0, count: size)
            guard (try? SystemFiles().write(descriptor, empty, at: 0)) != nil,
                ftruncate(descriptor, size) == 0
            else { return nil }
        }
        defer { withExtendedLifetime(file) {} }
        return kappa_crash_map(descriptor)
    }

    /// Whether the next event is known to be suspect: if that crashes again, it is the one.
    package var isAlone: Bool {
        get { memory.pointee.is_alone != 0 }
        set { memory.pointee.is_alone = newValue ? 1 : 0 }
    }

    /// Runs the code of a view, on the calling thread.
    @inline(__always)
    package func during<R>(
        _ stage: Stage, _ first: Offset, _ end: Offset, _ body: () throws -> R
    ) rethrows -> R {
        kappa_crash_enter(memory, stage.rawValue, first.rawValue, end.rawValue)
        pulse.begin(first, end)
        defer {
            pulse.end()
            kappa_crash_leave()
        }
        return try body()
    }

    /// Which start of the program this is; the same when it has started itself again. 0 where it does not.
    package static let run = Atomic<UInt64>(0)

    /// The crashes that no version's file tells of, by which this program has started itself again.
    package static let notices = Monitor<[CrashStamp]>([])

    /// The last such crash of a view's code.
    package static func notice(of view: String, _ stages: Stage...) -> CrashStamp? {
        notices.withLock { all in
            all.last { $0.name == view && stages.contains($0.stage) }
        }
    }

    /// Tells this program from others and from other builds of it.
    fileprivate static let program: UInt64 = {
        var status = stat()
        guard stat("/proc/self/exe", &status) == 0 else { return 1 }
        var hash = StableHash()
        for part in [
            UInt64(status.st_dev), UInt64(status.st_ino), UInt64(status.st_size),
            UInt64(bitPattern: Int64(status.st_mtim.tv_sec)),
            UInt64(bitPattern: Int64(status.st_mtim.tv_nsec)),
        ] {
            hash.add(part)
        }
        return hash.value
    }()
}

/// How the work under a mark goes, as other threads may look at it.
package final class WorkPulse: Sendable {
    /// Grows whenever the code of a view is called and whenever it returns: odd in between.
    private let beats = Atomic<UInt64>(0)
    private let first = Atomic<UInt64>(0)
    private let last = Atomic<UInt64>(0)
    /// Whether it was told that this work takes long, and not yet that it has gone on.
    package let wasTold = Atomic<Bool>(false)

    @inline(__always)
    fileprivate func begin(_ first: Offset, _ end: Offset) {
        self.first.store(first.rawValue, ordering: .relaxed)
        last.store(end.rawValue, ordering: .relaxed)
        beats.store(beats.load(ordering: .relaxed) | 1, ordering: .releasing)
    }

    @inline(__always)
    fileprivate func end() {
        beats.store((beats.load(ordering: .relaxed) | 1) &+ 1, ordering: .releasing)
    }

    /// Which piece of work the thread is at; nil where it is at none.
    package var beatAtWork: UInt64? {
        let beat = beats.load(ordering: .acquiring)
        return beat & 1 == 1 ? beat : nil
    }

    /// The events at hand.
    package var events: Range<Offset> {
        let begin = first.load(ordering: .relaxed)
        return Offset(begin)..<Offset(max(begin, last.load(ordering: .relaxed)))
    }
}

/// The mark of a view whose types are tried out: before that it has no version, and so no file. A process that
/// nobody starts again after a crash gets one for as long as it takes.
struct LearningMark {
    let mark: CrashMark
    /// Nil where it is in memory.
    private let path: String?

    /// - Parameters:
    ///   - name: The view's name, or that of an earlier definition of it, which may stand in a path.
    ///   - folder: Where its file is; nil for a program that starts itself again, or has nothing to lose.
    init(_ name: String, in folder: String?) {
        let path = folder.map { "\($0)/\(Self.prefix)\(name)\(Self.suffix)" }
        let stamp = path.flatMap { CrashStamp.read($0)?.stamp }
        if let stamp, stamp.isOfThisProgram {
            // All that work views out in this process do without it.
            CrashMark.notices.withLock { if !$0.contains(stamp) { $0.append(stamp) } }
        } else if let path, let mark = CrashMark(at: path, for: name) {
            self.mark = mark
            self.path = path
            return
        }
        mark = CrashMark(for: name)
        self.path = nil
    }

    private static let prefix = "learning-"
    private static let suffix = ".crash"

    /// To be called when the types have been tried out.
    func remove() { if let path { unlink(path) } }

    /// Removes what views have left that are defined no more.
    static func removeOthers(_ files: [String], in folder: String, than views: [String]) {
        for file in files where file.hasPrefix(prefix) && file.hasSuffix(suffix) {
            let name = file.dropFirst(prefix.count).dropLast(suffix.count)
            let path = "\(folder)/\(file)"
            if views.contains(String(name)) || CrashStamp.read(path) == nil { continue }
            unlink(path)
        }
    }
}

/// A crash that a mark tells of.
package struct CrashStamp: Equatable, Sendable {
    package var signal: Int32
    package var stage: CrashMark.Stage
    /// The events at hand, from `first` up to before `end`.
    package var first: Offset
    package var end: Offset
    /// Whether the events were tried with the version by itself, after a first crash.
    package var isAlone: Bool
    package var name: String
    /// Whether the program that has crashed is this one, and no other build of it.
    package var isOfThisProgram: Bool

    fileprivate static let format: UInt64 = 0x6B61_7070_616D_6B31

    fileprivate init?(_ mark: kappa_crash_mark) {
        guard mark.format == Self.format, mark.signal != 0,
            let stage = CrashMark.Stage(rawValue: mark.stage)
        else { return nil }
        signal = Int32(truncatingIfNeeded: mark.signal)
        self.stage = stage
        first = Offset(mark.first)
        end = Offset(mark.end)
        isAlone = mark.is_alone != 0
        isOfThisProgram = mark.program == CrashMark.program
        name = withUnsafeBytes(of: mark.name) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }

    /// A crash as the program passes it to its next start: `signal stage alone first end name`.
    package init?(notice: String) {
        let words = notice.split(separator: " ")
        guard words.count == 6, let signal = Int32(words[0]),
            let stage = UInt32(words[1]).flatMap(CrashMark.Stage.init),
            let first = UInt64(words[3]),
            let end = UInt64(words[4])
        else { return nil }
        self.signal = signal
        self.stage = stage
        self.first = Offset(first)
        self.end = Offset(end)
        isAlone = words[2] != "0"
        name = String(words[5])
        isOfThisProgram = true
    }

    /// What a file holds; nil where there is none, or no stamp on it.
    package static func read(_ path: String) -> (stamp: CrashStamp?, run: UInt64)? {
        guard let file = try? OpenFile(reading: path) else { return nil }
        var mark = kappa_crash_mark()
        let count = withUnsafeMutableBytes(of: &mark) { (try? file.read($0, at: 0)) ?? 0 }
        guard count == MemoryLayout<kappa_crash_mark>.size, mark.format == format else {
            return nil
        }
        return (CrashStamp(mark), mark.run)
    }

    /// Whether it is known which event the crash is due to.
    package var isProof: Bool { isAlone && end.rawValue <= first.rawValue + 1 }

    /// Such as `signal 4, illegal instruction`.
    package var signalText: String {
        let name =
            switch signal {
            case SIGILL, SIGTRAP:
                "a trap: an overflow, an index out of range, nil where none may be, …"
            case SIGSEGV, SIGBUS: "memory that is not there: often a recursion without end"
            case SIGFPE: "a division by zero"
            case SIGABRT: "abort"
            default: "a crash"
            }
        return "signal \(signal), \(name)"
    }
}
