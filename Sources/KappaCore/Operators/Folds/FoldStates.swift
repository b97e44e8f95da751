import Glibc

/// The rows of a fold's table, for a reader that changes them by number.
package struct FoldStates {
    /// The rows' memory, if rows are plain bytes.
    let plain: PlainStates?
    /// Passes the address of a row to a closure; the row is unchanged if that throws.
    let change: (UInt32, (UnsafeMutableRawPointer) throws -> Void) throws -> Void

    /// The same for a `body` that adds no rows.
    @inline(__always)
    func change(
        inPlace id: UInt32, _ body: (UnsafeMutableRawPointer) throws -> Void
    ) throws {
        if let plain { try plain.change(Int(id), body) } else { try change(id, body) }
    }
}

/// The memory of states that are plain bytes.
package struct PlainStates {
    let base: UnsafeMutableRawPointer
    let scratch: UnsafeMutableRawPointer
    let stride: Int

    /// Passes the address of a state to `body`, and restores the state's bytes if that throws.
    @inline(__always)
    func change(_ id: Int, _ body: (UnsafeMutableRawPointer) throws -> Void) throws {
        let state = base + id &* stride
        copy(state, to: scratch)
        do { try body(state) } catch {
            copy(scratch, to: state)
            throw error
        }
    }

    @inline(__always)
    private func copy(_ source: UnsafeMutableRawPointer, to target: UnsafeMutableRawPointer) {
        var at = 0
        while at < stride {
            target.storeBytes(
                of: source.load(fromByteOffset: at, as: UInt64.self), toByteOffset: at,
                as: UInt64.self)
            at &+= 8
        }
    }
}

/// States of one type by number. Their addresses are valid until the memory grows.
final class StateMemory<State> {
    private let empty: State
    private var states: UnsafeMutablePointer<State>
    private var capacity = 64
    private(set) var count = 0
    /// Holds a copy of a state while it is changed, because the change may make this memory grow.
    private let scratch = UnsafeMutablePointer<State>.allocate(capacity: 1)
    /// Whether a state can be copied as plain bytes.
    private let isPlain = _isPOD(State.self)

    init(empty: State) {
        self.empty = empty
        states = .allocate(capacity: capacity)
    }

    deinit {
        states.deinitialize(count: count)
        states.deallocate()
        scratch.deallocate()
    }

    subscript(_ id: Int) -> State {
        get { states[id] }
        set { states[id] = newValue }
    }

    /// Makes room for this many states; new ones are empty.
    func grow(to newCount: Int) {
        guard newCount > count else { return }
        if newCount > capacity {
            capacity = max(newCount, capacity * 2)
            let larger = UnsafeMutablePointer<State>.allocate(capacity: capacity)
            larger.moveInitialize(from: states, count: count)
            states.deallocate()
            states = larger
        }
        (states + count).initialize(repeating: empty, count: newCount - count)
        count = newCount
    }

    /// Passes the address of a copy to `body`, and stores the changed copy unless it throws. Must not be
    /// called from within `body`.
    func change(_ id: Int, _ body: (UnsafeMutableRawPointer) throws -> Void) throws {
        if isPlain {
            let size = MemoryLayout<State>.size
            memcpy(scratch, states + id, size)
            try body(UnsafeMutableRawPointer(scratch))
            memcpy(states + id, scratch, size)
            return
        }
        scratch.initialize(to: states[id])
        do { try body(UnsafeMutableRawPointer(scratch)) } catch {
            scratch.deinitialize(count: 1)
            throw error
        }
        (states + id).moveUpdate(from: scratch, count: 1)
    }

    /// The states as plain bytes; nil if they hold references, or are aligned to less than 8 bytes. Valid
    /// until this memory grows.
    var plain: PlainStates? {
        guard isPlain, MemoryLayout<State>.alignment >= 8 else { return nil }
        return PlainStates(
            base: UnsafeMutableRawPointer(states), scratch: UnsafeMutableRawPointer(scratch),
            stride: MemoryLayout<State>.stride)
    }

    func reset() {
        states.deinitialize(count: count)
        count = 0
    }
}
