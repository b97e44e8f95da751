/// The rows of a fold's table, as a reader changes them by their numbers.
package struct FoldStates {
    /// The rows as bytes, where there is nothing else to them.
    let plain: PlainStates?
    /// Hands the address of a row to a closure; the row is as it was if that throws.
    let change: (UInt32, (UnsafeMutableRawPointer) throws -> Void) throws -> Void

    /// The same for a `body` that makes no further rows.
    @inline(__always)
    func change(
        inPlace id: UInt32, _ body: (UnsafeMutableRawPointer) throws -> Void
    ) throws {
        if let plain { try plain.change(Int(id), body) } else { try change(id, body) }
    }
}

/// States that are nothing but words of memory.
package struct PlainStates {
    let base: UnsafeMutableRawPointer
    let scratch: UnsafeMutableRawPointer
    let stride: Int

    /// Hands the address of a state to `body`, and gives it back its bytes if that throws.
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
