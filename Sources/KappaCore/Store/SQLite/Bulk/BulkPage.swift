/// One page of an index tree that is being filled from left to right.
final class BulkPage {
    static let size = 8_192
    /// How many bytes of a record a page holds at most and, of one that goes on elsewhere, at least.
    static let mostLocal = (size - 12) * 64 / 255 - 23
    static let leastLocal = (size - 12) * 32 / 255 - 23

    private let isLeaf: Bool
    private let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 8)
    private var count = 0
    /// Where the cells begin: they stand at the end of the page, the first one last.
    private var start = size

    private var headerSize: Int { isLeaf ? 8 : 12 }

    init(isLeaf: Bool) { self.isLeaf = isLeaf }

    deinit { memory.deallocate() }

    /// A page as another one was saved.
    init(isLeaf: Bool, from state: inout StateReader) throws(KappaError) {
        self.isLeaf = isLeaf
        count = Int(try state.readShort())
        let pointers = try state.readBytes()
        let cells = try state.readBytes()
        start = Self.size - cells.count
        guard pointers.count == 2 * count, headerSize + pointers.count <= start else {
            throw StateReader.damage("a page has more than it can hold")
        }
        if let source = pointers.baseAddress {
            (memory + headerSize).copyMemory(from: source, byteCount: pointers.count)
        }
        if let source = cells.baseAddress {
            (memory + start).copyMemory(from: source, byteCount: cells.count)
        }
    }

    func save(to state: inout StateWriter) {
        state.write(short: UInt64(count))
        state.write(
            text: UnsafeRawBufferPointer(start: memory + headerSize, count: 2 * count))
        state.write(text: UnsafeRawBufferPointer(start: memory + start, count: Self.size - start))
    }

    /// Adds a cell behind the others; false if there is no room for it.
    ///
    /// - Parameters:
    ///   - payload: The record's size where it is not part of the bytes yet.
    func append(_ cell: UnsafeRawBufferPointer, size payload: Int?, left: UInt32) -> Bool {
        let prefix = payload.map { Varint.size(UInt64($0)) } ?? 0
        let size = cell.count + prefix + (isLeaf ? 0 : 4)
        let pointer = headerSize + 2 * count
        guard pointer + 2 + size <= start, let source = cell.baseAddress else { return false }
        start -= size
        var at = memory + start
        if !isLeaf {
            at.store(bigEndian: left)
            at += 4
        }
        if let payload { Varint.write(UInt64(payload), to: &at) }
        at.copyMemory(from: source, byteCount: cell.count)
        store(start, at: pointer)
        count += 1
        return true
    }

    /// Takes the last cell off; nil if there is only one.
    func removeLast() -> (left: UInt32, cell: [UInt8])? {
        guard count > 1 else { return nil }
        count -= 1
        let at = headerSize + 2 * (count - 1)
        let end = Int(memory.bigEndian(UInt16.self, at: at))
        let bytes = UnsafeRawBufferPointer(start: memory + start, count: end - start)
        let left = isLeaf ? 0 : memory.bigEndian(UInt32.self, at: start)
        start = end
        return (left, Array(bytes.dropFirst(isLeaf ? 0 : 4)))
    }

    func clear() {
        count = 0
        start = Self.size
    }

    /// The page as it is written; `rightmost` is the page behind the last cell.
    func bytes(rightmost: UInt32) -> UnsafeRawBufferPointer {
        memory.store(UInt8(isLeaf ? 0x0A : 0x02))
        store(0, at: 1)
        store(count, at: 3)
        store(start, at: 5)
        memory.store(UInt8(0), at: 7)
        if !isLeaf {
            memory.store(bigEndian: rightmost, at: 8)
        }
        // What earlier pages have left between pointers and cells is not to be written out again.
        let gap = headerSize + 2 * count
        (memory + gap).initializeMemory(as: UInt8.self, repeating: 0, count: start - gap)
        return UnsafeRawBufferPointer(start: memory, count: Self.size)
    }

    private func store(_ value: Int, at index: Int) {
        memory.store(bigEndian: UInt16(value), at: index)
    }
}
