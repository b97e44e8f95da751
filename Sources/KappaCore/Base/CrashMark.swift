import CKappa
import Glibc
import Synchronization

/// Records what a thread is doing for a version, so that a crash can be attributed to the view whose
/// code caused it.
///
/// A view's closures may overflow an integer, look past the end of an array, or recurse without end: the
/// processor then raises a signal that ends the process. The signal's handler finds the thread's mark
/// and stamps it. The mark is a file beside the version, mapped into memory, so it outlives the process.
/// A process that is killed from outside leaves its marks unstamped.
///
/// Only one thread at a time uses a mark.
package final class CrashMark {
    /// The kind of work.
    package enum Stage: UInt32, Sendable {
        /// Reads a view's state.
        case opening
        /// Calls handlers with events.
        case applying
        /// Encodes and writes rows, and runs second steps.
        case committing
        /// Gates judge two versions.
        case judging
        /// Tries out the types of events and rows.
        case learning
    }

    private let memory: UnsafeMutablePointer<kappa_crash_mark>
    /// The crash that an earlier process recorded in it, if any.
    package let found: CrashStamp?
    /// For a thread that watches the progress of the work.
    package let pulse = WorkPulse()

    /// A mark in a version's file, which is created if it is missing. Nil where that fails, as on a full
    /// disk: the work then continues without a mark.
    package init?(at path: String, for name: String) {
        guard let mapped = Self.map(path) else { return nil }
        memory = mapped
        // Keep the last crash until the version is past it, whatever ends the process before that.
        if mapped[0].signal != 0 { mapped[1] = mapped[0] }
        found = CrashStamp(mapped[1])
        begin(name, isKept: true)
    }

    /// Forgets the crash that was found: the version is past it.
    package func forget() {
        if memory.pointee.is_kept != 0 { memory[1].signal = 0 }
        isAlone = false
    }

    /// A mark in memory, for work that changes no version's file.
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

    /// Maps a file of the mark's size whose blocks are allocated on the disk: writing to a mapped page
    /// without a block would end the process on a full disk.
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

    /// Whether the next events are retried after a crash, without other versions. If a single event then
    /// crashes, it is proven to be the cause.
    package var isAlone: Bool {
        get { memory.pointee.is_alone != 0 }
        set { memory.pointee.is_alone = newValue ? 1 : 0 }
    }

    /// Runs a view's code on the calling thread, under this mark.
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

    /// Identifies this start of the program, and stays the same when the program restarts itself. 0 in a
    /// program that does not.
    package static let run = Atomic<UInt64>(0)

    /// The crashes after which this program restarted itself and which no version's file records.
    package static let notices = Monitor<[CrashStamp]>([])

    /// The last of these crashes in a view's code, at one of the given stages.
    package static func notice(of view: String, _ stages: Stage...) -> CrashStamp? {
        notices.withLock { all in
            all.last { $0.name == view && stages.contains($0.stage) }
        }
    }

    /// Distinguishes this program from others, and from other builds of itself.
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

/// The progress of the work under a mark, for other threads to read.
package final class WorkPulse: Sendable {
    /// Grows whenever a view's code is called and whenever it returns; odd in between.
    private let beats = Atomic<UInt64>(0)
    private let first = Atomic<UInt64>(0)
    private let last = Atomic<UInt64>(0)
    /// Whether it was reported that this work takes long, and not yet that it has resumed.
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

    /// Identifies the call that the thread is in; nil where it is in none.
    package var beatAtWork: UInt64? {
        let beat = beats.load(ordering: .acquiring)
        return beat & 1 == 1 ? beat : nil
    }

    /// The events being processed.
    package var events: Range<Offset> {
        let begin = first.load(ordering: .relaxed)
        return Offset(begin)..<Offset(max(begin, last.load(ordering: .relaxed)))
    }
}

/// The mark of a view while its types are tried out: until then the view has no version, and so no file.
/// A process that nothing restarts after a crash gets a file for just that time.
struct LearningMark {
    let mark: CrashMark
    /// Nil where the mark is in memory.
    private let path: String?

    /// - Parameters:
    ///   - name: The view's name, or that of an earlier definition of it; it can be part of a path.
    ///   - folder: The folder of its file; nil for a program that restarts itself, or has nothing to
    ///     lose.
    init(_ name: String, in folder: String?) {
        let path = folder.map { "\($0)/\(Self.prefix)\(name)\(Self.suffix)" }
        let stamp = path.flatMap { CrashStamp.read($0)?.stamp }
        if let stamp, stamp.isOfThisProgram {
            // Whatever evaluates views in this process then leaves this one out.
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

    /// Call this once the types have been tried out.
    func remove() { if let path { unlink(path) } }

    /// Removes the files of views that are no longer defined.
    static func removeOthers(_ files: [String], in folder: String, than views: [String]) {
        for file in files where file.hasPrefix(prefix) && file.hasSuffix(suffix) {
            let name = file.dropFirst(prefix.count).dropLast(suffix.count)
            let path = "\(folder)/\(file)"
            if views.contains(String(name)) || CrashStamp.read(path) == nil { continue }
            unlink(path)
        }
    }
}

/// A crash that a mark recorded.
package struct CrashStamp: Equatable, Sendable {
    package var signal: Int32
    package var stage: CrashMark.Stage
    /// The events being processed: from `first` up to, but not including, `end`.
    package var first: Offset
    package var end: Offset
    /// Whether the events were retried with this version alone, after a first crash.
    package var isAlone: Bool
    package var name: String
    /// Whether the program that crashed is this one, not another build of it.
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

    /// What a file holds; nil where there is no file, or it holds no mark. `stamp` is nil where the mark
    /// records no crash.
    package static func read(_ path: String) -> (stamp: CrashStamp?, run: UInt64)? {
        guard let file = try? OpenFile(reading: path) else { return nil }
        var mark = kappa_crash_mark()
        let count = withUnsafeMutableBytes(of: &mark) { (try? file.read($0, at: 0)) ?? 0 }
        guard count == MemoryLayout<kappa_crash_mark>.size, mark.format == format else {
            return nil
        }
        return (CrashStamp(mark), mark.run)
    }

    /// Whether it is known which event caused the crash.
    package var isProof: Bool { isAlone && end.rawValue <= first.rawValue + 1 }

    /// Such as `signal 4, illegal instruction`.
    package var signalText: String {
        let name =
            switch signal {
            case SIGILL, SIGTRAP:
                "a trap: an overflow, an index out of range, an unexpected nil, …"
            case SIGSEGV, SIGBUS: "an invalid memory access: often infinite recursion"
            case SIGFPE: "a division by zero"
            case SIGABRT: "abort"
            default: "a crash"
            }
        return "signal \(signal), \(name)"
    }
}
