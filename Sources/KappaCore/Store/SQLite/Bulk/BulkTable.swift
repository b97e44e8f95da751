/// Builds the tree of an empty table from rows that come in the order of their keys. It writes each page
/// once, complete, one after the other.
///
/// The format is that of an index B-tree, as of every `WITHOUT ROWID` table
/// (https://www.sqlite.org/fileformat2.html, sections 1.6 and 2.4). A row between two pages is kept in
/// their parent, and only there.
final class BulkTable {
    private let file: BulkFile
    private let root: UInt32
    private let leaf: BulkPage
    private var levels: [Level]

    /// The page that is being filled at one height of the tree; leaves are at height zero.
    fileprivate struct Level {
        let page: BulkPage
        /// A row that found the page full. As soon as another row follows, it becomes the one between this
        /// page and the next.
        var waiting: Entry?
    }

    /// A row with the number of the page to its left; zero in a leaf.
    fileprivate struct Entry {
        var left: UInt32
        var cell: [UInt8]
    }

    private(set) var hasRows = false
    /// Whether a row waits at the leaves.
    private var leafIsFull = false

    /// `root` is the table's root page, which SQLite has made.
    init(_ file: BulkFile, root: UInt32) {
        self.file = file
        self.root = root
        leaf = BulkPage(isLeaf: true)
        levels = [Level(page: leaf)]
    }

    /// Resumes an unfinished table.
    init(_ file: BulkFile, _ progress: Progress) {
        self.file = file
        root = progress.root
        leaf = progress.leaf
        levels = progress.levels
        hasRows = progress.hasRows
        leafIsFull = progress.levels.first?.waiting != nil
    }

    /// Appends a record.
    func append(_ record: UnsafeRawBufferPointer) throws(KappaError) {
        hasRows = true
        if record.count <= BulkPage.mostLocal, !leafIsFull {
            if leaf.append(record, size: record.count, left: 0) { return }
        }
        try add(Entry(left: 0, cell: try cell(record)), at: 0)
        leafIsFull = levels[0].waiting != nil
    }

    /// A record with its size before it. A record that is too long for a page continues in overflow pages.
    private func cell(_ record: UnsafeRawBufferPointer) throws(KappaError) -> [UInt8] {
        var cell = [UInt8](unsafeUninitializedCapacity: Varint.mostBytes) { bytes, count in
            guard let start = bytes.baseAddress.map({ UnsafeMutableRawPointer($0) }) else { return }
            var at = start
            Varint.write(UInt64(record.count), to: &at)
            count = at - start
        }
        guard record.count > BulkPage.mostLocal else { return cell + record }
        let room = BulkPage.size - 4
        let least = BulkPage.leastLocal
        let fitting = least + (record.count - least) % room
        let local = fitting <= BulkPage.mostLocal ? fitting : least
        cell += record[..<local]
        let pages = (record.count - local + room - 1) / room
        var number = file.allocate()
        cell.append(bigEndian: number)
        for index in 0..<pages {
            let start = local + index * room
            let isLast = index == pages - 1
            let next = isLast ? 0 : file.allocate()
            var bytes: [UInt8] = []
            bytes.reserveCapacity(BulkPage.size)
            bytes.append(bigEndian: next)
            bytes += record[start..<min(start + room, record.count)]
            bytes += repeatElement(0, count: BulkPage.size - bytes.count)
            try file.write(bytes, at: number)
            number = next
        }
        return cell
    }

    private func add(_ entry: Entry, at height: Int) throws(KappaError) {
        if let waiting = levels[height].waiting {
            levels[height].waiting = nil
            let full = try close(height, rightmost: waiting.left)
            try add(Entry(left: full, cell: waiting.cell), at: height + 1)
        }
        if !Self.append(entry, to: levels[height].page) { levels[height].waiting = entry }
    }

    /// Writes the full page of a height, and begins a new one.
    private func close(_ height: Int, rightmost: UInt32) throws(KappaError) -> UInt32 {
        if levels.count == height + 1 {
            levels.append(Level(page: BulkPage(isLeaf: false)))
        }
        let number = file.allocate()
        try file.write(levels[height].page.bytes(rightmost: rightmost), at: number)
        levels[height].page.clear()
        return number
    }

    /// Writes what is left, and the root last.
    func finish() throws(KappaError) {
        guard hasRows else { return }
        var height = 0
        var lower: UInt32 = 0
        while height < levels.count {
            try settleWaiting(height)
            if height == levels.count - 1 {
                return try file.write(levels[height].page.bytes(rightmost: lower), at: root)
            }
            lower = try close(height, rightmost: lower)
            height += 1
        }
    }

    /// Gives a row that still waits a page of its own: the last row of the full page moves up, between the
    /// two.
    private func settleWaiting(_ height: Int) throws(KappaError) {
        guard let waiting = levels[height].waiting,
            let last = levels[height].page.removeLast()
        else { return }
        levels[height].waiting = nil
        let full = try close(height, rightmost: last.left)
        try add(Entry(left: full, cell: last.cell), at: height + 1)
        _ = Self.append(waiting, to: levels[height].page)
    }

    private static func append(_ entry: Entry, to page: BulkPage) -> Bool {
        entry.cell.withUnsafeBytes { page.append($0, size: nil, left: entry.left) }
    }
}

// MARK: Resuming

extension BulkTable {
    /// The progress of a table: the pages that are not full yet.
    struct Progress {
        fileprivate let root: UInt32
        fileprivate let hasRows: Bool
        fileprivate let leaf: BulkPage
        fileprivate private(set) var levels: [Level] = []

        init(from state: inout StateReader) throws(KappaError) {
            root = try state.readWord()
            hasRows = try state.readByte() != 0
            leaf = try BulkPage(isLeaf: true, from: &state)
            var page = leaf
            let levels = try state.readShortCount()
            for height in 0..<levels {
                if height > 0 { page = try BulkPage(isLeaf: false, from: &state) }
                var level = Level(page: page)
                if try state.readByte() != 0 {
                    let left = try state.readWord()
                    level.waiting = Entry(left: left, cell: Array(try state.readBytes()))
                }
                self.levels.append(level)
            }
        }
    }

    func save(to state: inout StateWriter) {
        state.write(root)
        state.write(UInt8(hasRows ? 1 : 0))
        leaf.save(to: &state)
        state.write(short: UInt64(levels.count))
        for (height, level) in levels.enumerated() {
            if height > 0 { level.page.save(to: &state) }
            state.write(UInt8(level.waiting == nil ? 0 : 1))
            guard let waiting = level.waiting else { continue }
            state.write(waiting.left)
            waiting.cell.withUnsafeBytes { state.write(text: $0) }
        }
    }
}

/// One page of an index tree that is being filled from left to right.
final class BulkPage {
    static let size = 8_192
    /// How many bytes of a record a page holds at most and, if the record continues in overflow pages, at
    /// least.
    static let mostLocal = (size - 12) * 64 / 255 - 23
    static let leastLocal = (size - 12) * 32 / 255 - 23

    private let isLeaf: Bool
    private let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 8)
    private var count = 0
    /// Where the cells begin. They fill the page from its end, so the first cell is the last in the page.
    private var start = size

    private var headerSize: Int { isLeaf ? 8 : 12 }

    init(isLeaf: Bool) { self.isLeaf = isLeaf }

    deinit { memory.deallocate() }

    /// Restores a page that was saved.
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

    /// Adds a cell after the others; false if there is no room for it.
    ///
    /// - Parameters:
    ///   - payload: The record's size, if the bytes do not include it yet.
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

    /// Removes and returns the last cell; nil if there is only one.
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

    /// The page as it is written; `rightmost` is the page to the right of the last cell.
    func bytes(rightmost: UInt32) -> UnsafeRawBufferPointer {
        memory.store(UInt8(isLeaf ? 0x0A : 0x02))
        store(0, at: 1)
        store(count, at: 3)
        store(start, at: 5)
        memory.store(UInt8(0), at: 7)
        if !isLeaf {
            memory.store(bigEndian: rightmost, at: 8)
        }
        // Clears what earlier pages have left between the pointers and the cells.
        let gap = headerSize + 2 * count
        (memory + gap).initializeMemory(as: UInt8.self, repeating: 0, count: start - gap)
        return UnsafeRawBufferPointer(start: memory, count: Self.size)
    }

    private func store(_ value: Int, at index: Int) {
        memory.store(bigEndian: UInt16(value), at: index)
    }
}
