import Foundation
import Glibc
import KappaTesting
import Synchronization

@testable import KappaCore

/// A disk that loses power.
///
/// The state that a process sees is in real files. The state of the disk is kept separately: a write, a
/// truncation and a name are pending until a sync of their file or folder, and at a power cut any part of
/// what is pending may have reached the disk: dropped, reordered, torn anywhere. Also:
/// - the power may fail in the middle of any call; from then on every call fails;
/// - a sync may fail; the bytes then stay visible, and no later sync brings them to the disk unless they are
///   written again (as on Linux).
final class SimulatedDisk: FileSystem {
    struct Options: Sendable {
        /// The power fails at this call.
        var cutAtCall = Int.max
        /// These calls of `sync` fail, counted from 0.
        var failingSyncs: Set<Int> = []
        /// A disk that only pretends to sync: for the control that shows that the test can fail.
        var skipsSync = false
    }

    private enum Change {
        case write(at: Int, bytes: [UInt8])
        case truncate(to: Int)
    }

    private struct File {
        var durable: [UInt8] = []
        var pending: [Change] = []
    }

    private enum NameChange {
        case link(String, file: Int)
        case rename(String, to: String, file: Int)
        case unlink(String)
    }

    private struct State {
        var random: SplitMix
        var calls = 0
        var syncs = 0
        var files: [File] = []
        /// The files as a process sees them.
        var names: [String: Int] = [:]
        var durableNames: [String: Int] = [:]
        var pendingNames: [NameChange] = []
        var open: [Int32: Int] = [:]
        var options: Options
    }

    private let under = SystemFiles()
    private let state: Mutex<State>

    /// A disk that holds, durably, what is in a folder.
    init(_ folder: LogFolder, seed: UInt64, options: Options = Options()) throws {
        var state = State(random: SplitMix(state: seed), options: options)
        for name in folder.names {
            state.names[folder.file(name)] = state.files.count
            state.files.append(File(durable: try folder.bytes(name)))
        }
        state.durableNames = state.names
        self.state = Mutex(state)
    }

    /// Whether the power has failed.
    var isDead: Bool { state.withLock { $0.calls >= $0.options.cutAtCall } }

    // MARK: The power fails

    /// Copies the contents of the disk after a power cut into another folder.
    func powerCut(to folder: LogFolder) throws {
        let (names, contents) = state.withLock { state -> ([String: Int], [[UInt8]]) in
            var names = state.durableNames
            for change in state.pendingNames
            where Bool.random(using: &state.random) {
                Self.apply(change, to: &names)
            }
            var contents: [[UInt8]] = []
            for file in state.files {
                var bytes = file.durable
                let mode = Int.random(in: 0..<4, using: &state.random)
                for change in file.pending {
                    // All of it, none of it, a part, or torn anywhere.
                    switch mode {
                    case 0: Self.apply(change, to: &bytes)
                    case 1: break
                    case 2:
                        if Bool.random(using: &state.random) { Self.apply(change, to: &bytes) }
                    default: Self.tear(change, to: &bytes, &state.random)
                    }
                }
                contents.append(bytes)
            }
            return (names, contents)
        }
        for (path, file) in names {
            try folder.write(contents[file], to: (path as NSString).lastPathComponent)
        }
    }

    private static func apply(_ change: NameChange, to names: inout [String: Int]) {
        switch change {
        case .link(let path, let file): names[path] = file
        case .rename(let old, let new, let file):
            if names[old] == file { names[old] = nil }
            names[new] = file
        case .unlink(let path): names[path] = nil
        }
    }

    private static func apply(_ change: Change, to bytes: inout [UInt8]) {
        switch change {
        case .truncate(let size):
            bytes = Array(bytes.prefix(size))
            bytes += [UInt8](repeating: 0, count: size - bytes.count)
        case .write(let position, let new):
            let end = position + new.count
            if bytes.count < end { bytes += [UInt8](repeating: 0, count: end - bytes.count) }
            bytes.replaceSubrange(position..<end, with: new)
        }
    }

    /// The same, with pieces of a write left out.
    private static func tear(
        _ change: Change, to bytes: inout [UInt8], _ random: inout SplitMix
    ) {
        guard case .write(let position, let new) = change else {
            apply(change, to: &bytes)
            return
        }
        var at = 0
        while at < new.count {
            let end = min(new.count, at + Int.random(in: 1...300, using: &random))
            if Bool.random(using: &random) {
                apply(.write(at: position + at, bytes: Array(new[at..<end])), to: &bytes)
            }
            at = end
        }
    }

    // MARK: Calls

    /// Counts a call and does it; the last one before the power fails is perhaps not done.
    private func call(
        _ name: String, _ body: (inout State) throws(IOFailure) -> Void
    ) throws(IOFailure) {
        try state.withLock { state throws(IOFailure) in
            state.calls += 1
            let left = state.options.cutAtCall - state.calls
            if left > 0 || left == 0 && Bool.random(using: &state.random) { try body(&state) }
            if left <= 0 { throw IOFailure(name, EIO) }
        }
    }

    func open(_ path: String, _ flags: Int32) throws(IOFailure) -> Int32 {
        var opened: Int32 = -1
        try call("open") { state throws(IOFailure) in
            opened = try under.open(path, flags)
            let known = state.names[path]
            let file = known ?? state.files.count
            if known == nil {
                state.files.append(File())
                state.names[path] = file
                state.pendingNames.append(.link(path, file: file))
            }
            if flags & O_TRUNC != 0 { state.files[file].pending.append(.truncate(to: 0)) }
            state.open[opened] = file
        }
        return opened
    }

    func write(
        _ file: Int32, _ bytes: UnsafeRawBufferPointer, at position: Int
    ) throws(IOFailure) {
        try call("write") { state throws(IOFailure) in
            try under.write(file, bytes, at: position)
            guard let number = state.open[file] else { return }
            state.files[number].pending.append(.write(at: position, bytes: Array(bytes)))
        }
    }

    func truncate(_ file: Int32, to size: Int) throws(IOFailure) {
        try call("ftruncate") { state throws(IOFailure) in
            try under.truncate(file, to: size)
            guard let number = state.open[file] else { return }
            state.files[number].pending.append(.truncate(to: size))
        }
    }

    func sync(_ file: Int32) throws(IOFailure) {
        try call("fdatasync") { state throws(IOFailure) in
            guard let number = state.open[file], !state.options.skipsSync else { return }
            let fails = state.options.failingSyncs.contains(state.syncs)
            state.syncs += 1
            for change in state.files[number].pending {
                // A failed sync may have written some bytes to the disk; the rest will never get there.
                if fails {
                    Self.tear(change, to: &state.files[number].durable, &state.random)
                } else {
                    Self.apply(change, to: &state.files[number].durable)
                }
            }
            state.files[number].pending = []
            if fails { throw IOFailure("fdatasync", EIO) }
        }
    }

    func syncFolder(_ path: String) throws(IOFailure) {
        try call("fsync") { state in
            if state.options.skipsSync { return }
            for change in state.pendingNames { Self.apply(change, to: &state.durableNames) }
            state.pendingNames = []
        }
    }

    func rename(_ old: String, to new: String) throws(IOFailure) {
        try call("rename") { state throws(IOFailure) in
            try under.rename(old, to: new)
            guard let file = state.names[old] else { return }
            let change = NameChange.rename(old, to: new, file: file)
            Self.apply(change, to: &state.names)
            state.pendingNames.append(change)
        }
    }

    func remove(_ path: String) throws(IOFailure) {
        try call("unlink") { state throws(IOFailure) in
            try under.remove(path)
            state.names[path] = nil
            state.pendingNames.append(.unlink(path))
        }
    }
}
