/// One page of an index tree that is being filled from left to right.
struct BulkPage {
    static let size = 8_192
    /// How many bytes of a record a page holds at most and, of one that goes on elsewhere, at least.
    static let mostLocal = (size - 12) * 64 / 255 - 23
    static let leastLocal = (size - 12) * 32 / 255 - 23

    private let isLeaf: Bool
    private var content: [UInt8]
    private var count = 0
    /// Where the cells begin: they stand at the end of the page, the first one last.
    private var start = size

    private var headerSize: Int { isLeaf ? 8 : 12 }

    init(isLeaf: Bool) {
        self.isLeaf = isLeaf
        content = Array(repeating: 0, count: Self.size)
    }

    /// Adds a cell behind the others; false if there is no room for it.
    mutating func append(_ cell: [UInt8], left: UInt32) -> Bool {
        let size = cell.count + (isLeaf ? 0 : 4)
        let pointer = headerSize + 2 * count
        guard pointer + 2 + size <= start else { return false }
        start -= size
        var at = start
        if !isLeaf {
            store(UInt16(truncatingIfNeeded: left >> 16), at: at)
            store(UInt16(truncatingIfNeeded: left), at: at + 2)
            at += 4
        }
        content.withUnsafeMutableBytes { content in
            cell.withUnsafeBytes { cell in
                UnsafeMutableRawBufferPointer(rebasing: content[at..<(at + cell.count)])
                    .copyMemory(from: cell)
            }
        }
        store(UInt16(start), at: pointer)
        count += 1
        return true
    }

    /// Takes the last cell off; nil if there is only one.
    mutating func removeLast() -> (left: UInt32, cell: [UInt8])? {
        guard count > 1 else { return nil }
        count -= 1
        let end = load(at: headerSize + 2 * (count - 1))
        let bytes = content[start..<end]
        start = end
        guard !isLeaf else { return (0, Array(bytes)) }
        let left = bytes.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return (left, Array(bytes.dropFirst(4)))
    }

    mutating func clear() {
        count = 0
        start = Self.size
    }

    /// The page as it is written; `rightmost` is the page behind the last cell.
    mutating func bytes(rightmost: UInt32) -> [UInt8] {
        content[0] = isLeaf ? 0x0A : 0x02
        store(0, at: 1)
        store(UInt16(count), at: 3)
        store(UInt16(start), at: 5)
        content[7] = 0
        if !isLeaf {
            store(UInt16(truncatingIfNeeded: rightmost >> 16), at: 8)
            store(UInt16(truncatingIfNeeded: rightmost), at: 10)
        }
        // What earlier pages have left between pointers and cells is not to be written out again.
        for index in (headerSize + 2 * count)..<start { content[index] = 0 }
        return content
    }

    private mutating func store(_ value: UInt16, at index: Int) {
        content[index] = UInt8(value >> 8)
        content[index + 1] = UInt8(value & 0xFF)
    }

    private func load(at index: Int) -> Int {
        Int(content[index]) << 8 | Int(content[index + 1])
    }
}
