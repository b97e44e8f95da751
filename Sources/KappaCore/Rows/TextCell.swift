/// A text inside of a record: 16 bytes. Up to 12 bytes stand in the cell itself, so that short keys
/// are compared without another look into memory; longer ones are pointed to.
///
/// | byte | short | long |
/// |---|---|---|
/// | 0 | the text | a pointer to it, and its capacity where the cell owns it (4 bytes) |
/// | 12 | its length | its length |
enum TextCell {
    static let size = 16
    static let mostInline: UInt32 = 12
    private static let capacityOffset = 8
    private static let lengthOffset = 12

    @inline(__always)
    static func length(_ cell: UnsafeRawPointer) -> UInt32 {
        cell.load(fromByteOffset: lengthOffset, as: UInt32.self)
    }

    /// The text's bytes; valid until the cell moves or changes.
    @inline(__always)
    static func text(_ cell: UnsafeRawPointer) -> UnsafeRawBufferPointer {
        let length = length(cell)
        let start =
            length <= mostInline ? cell : cell.load(as: UnsafeRawPointer?.self)
        return UnsafeRawBufferPointer(start: start, count: Int(length))
    }

    /// Whether the cell holds this text.
    @inline(__always)
    static func holds(_ cell: UnsafeRawPointer, _ text: UnsafeRawBufferPointer) -> Bool {
        let length = length(cell)
        guard Int(length) == text.count else { return false }
        guard let other = text.baseAddress else { return true }
        let mine = length <= mostInline ? cell : cell.load(as: UnsafeRawPointer.self)
        return ByteOrder.isSame(mine, other, count: Int(length))
    }

    /// Puts a short text into the cell; false where it is too long for that.
    @inline(__always)
    static func setInline(_ cell: UnsafeMutableRawPointer, _ text: UnsafeRawBufferPointer) -> Bool {
        guard text.count <= Int(mostInline) else { return false }
        if let source = text.baseAddress { cell.copyMemory(from: source, byteCount: text.count) }
        cell.storeBytes(of: UInt32(text.count), toByteOffset: lengthOffset, as: UInt32.self)
        return true
    }

    /// Takes a short text in, or points at a long one that stays where it is for as long as the cell
    /// is used.
    static func setBorrowed(_ cell: UnsafeMutableRawPointer, _ text: UnsafeRawBufferPointer) {
        if setInline(cell, text) { return }
        cell.storeBytes(of: text.baseAddress, as: UnsafeRawPointer?.self)
        cell.storeBytes(of: UInt32(text.count), toByteOffset: lengthOffset, as: UInt32.self)
    }

    // MARK: Cells that own their text

    /// Takes a copy of a text; the buffer of a long one is used again by the next that fits.
    @inline(__always)
    static func setOwned(_ cell: UnsafeMutableRawPointer, _ text: UnsafeRawBufferPointer) {
        if length(cell) <= mostInline, setInline(cell, text) { return }
        setOwnedSlowly(cell, text)
    }

    private static func setOwnedSlowly(
        _ cell: UnsafeMutableRawPointer, _ text: UnsafeRawBufferPointer
    ) {
        if text.count <= Int(mostInline) {
            freeOwned(cell)
            _ = setInline(cell, text)
            return
        }
        let isLong = length(cell) > mostInline
        let capacity = isLong ? cell.load(fromByteOffset: capacityOffset, as: UInt32.self) : 0
        if Int(capacity) < text.count {
            freeOwned(cell)
            let new = UnsafeMutableRawPointer.allocate(byteCount: text.count, alignment: 1)
            cell.storeBytes(of: new, as: UnsafeMutableRawPointer.self)
            cell.storeBytes(
                of: UInt32(text.count), toByteOffset: capacityOffset, as: UInt32.self)
        }
        if let target = cell.load(as: UnsafeMutableRawPointer?.self), let source = text.baseAddress
        {
            target.copyMemory(from: source, byteCount: text.count)
        }
        cell.storeBytes(of: UInt32(text.count), toByteOffset: lengthOffset, as: UInt32.self)
    }

    /// Gives the buffer of a long text back; the cell is empty then.
    static func freeOwned(_ cell: UnsafeMutableRawPointer) {
        if length(cell) > mostInline { cell.load(as: UnsafeMutableRawPointer?.self)?.deallocate() }
        cell.initializeMemory(as: UInt8.self, repeating: 0, count: size)
    }
}
