import Glibc
import Synchronization

@testable import KappaCore

/// The calls of the ``FileSystem`` seam.
enum FileCall: String, CaseIterable, Sendable {
    case open, write, sync, syncFolder, truncate, rename, remove
}

/// Files whose calls fail on request. They never wait for the disk, so that tests that do not need it are
/// quick.
final class FaultyFiles: FileSystem {
    struct Fault: Sendable {
        var call: FileCall
        var number: Int32
        /// How many calls of this kind pass before it fails.
        var after = 0
        /// Fails once, or from then on.
        var isForEver = false
        /// Whether a failing write writes half of its bytes.
        var tears = false
    }

    private struct State {
        var fault: Fault?
        var calls: [FileCall: Int] = [:]
    }

    private let under = SystemFiles()
    private let state = Mutex(State())

    /// Sets the fault, counting from now; nil ends it.
    func set(_ fault: Fault?) {
        state.withLock {
            $0.fault = fault
            $0.calls = [:]
        }
    }

    var calls: [FileCall: Int] { state.withLock { $0.calls } }

    private func check(_ call: FileCall) throws(IOFailure) {
        let failing = state.withLock { state -> Fault? in
            let count = state.calls[call, default: 0]
            state.calls[call] = count + 1
            guard let fault = state.fault, fault.call == call else { return nil }
            return fault.isForEver
                ? (count >= fault.after ? fault : nil)
                : (count == fault.after ? fault : nil)
        }
        if let failing { throw IOFailure(call.rawValue, failing.number) }
    }

    func open(_ path: String, _ flags: Int32) throws(IOFailure) -> Int32 {
        try check(.open)
        return try under.open(path, flags)
    }

    func write(
        _ file: Int32, _ bytes: UnsafeRawBufferPointer, at position: Int
    ) throws(IOFailure) {
        do throws(IOFailure) { try check(.write) } catch {
            if state.withLock({ $0.fault?.tears == true }) {
                let half = UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count / 2)])
                try under.write(file, half, at: position)
            }
            throw error
        }
        try under.write(file, bytes, at: position)
    }

    func sync(_ file: Int32) throws(IOFailure) {
        try check(.sync)
    }

    func syncFolder(_ path: String) throws(IOFailure) {
        try check(.syncFolder)
    }

    func truncate(_ file: Int32, to size: Int) throws(IOFailure) {
        try check(.truncate)
        try under.truncate(file, to: size)
    }

    func rename(_ old: String, to new: String) throws(IOFailure) {
        try check(.rename)
        try under.rename(old, to: new)
    }

    func remove(_ path: String) throws(IOFailure) {
        try check(.remove)
        try under.remove(path)
    }
}
