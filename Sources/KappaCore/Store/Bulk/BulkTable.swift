/// Builds the tree of a table that was empty, from rows that come in the order of their keys: each
/// page is written once, whole, one behind the other.
///
/// The format is that of an index tree, which a table `WITHOUT ROWID` is
/// (https://www.sqlite.org/fileformat2.html, sections 1.6 and 2.4). A row that stands between two
/// pages is kept in their parent, and only there.
final class BulkTable {
    private let file: BulkFile
    private let root: UInt32
    private var levels: [Level]
    private var payload: [UInt8] = []

    /// The page that is being filled at one height of the tree; leaves are at height zero.
    private struct Level {
        var page: BulkPage
        /// A row that finds the page full. It becomes the one between this page and the next as soon
        /// as another follows it.
        var waiting: Entry?
    }

    /// A row with the page to the left of it; zero in a leaf.
    private struct Entry {
        var left: UInt32
        var cell: [UInt8]
    }

    private(set) var hasRows = false

    /// `root` is the table's root page, which SQLite has made.
    init(_ file: BulkFile, root: UInt32) {
        self.file = file
        self.root = root
        levels = [Level(page: BulkPage(isLeaf: true))]
    }

    /// Appends a record: its header's size and types, and its values.
    func append(headerSize: Int, _ header: [UInt8], _ body: [UInt8]) throws(KappaError) {
        hasRows = true
        payload.removeAll(keepingCapacity: true)
        Varint.append(UInt64(headerSize), to: &payload)
        payload += header
        payload += body
        var cell: [UInt8] = []
        cell.reserveCapacity(min(payload.count, BulkPage.mostLocal) + 8)
        Varint.append(UInt64(payload.count), to: &cell)
        try appendPayload(to: &cell)
        try add(Entry(left: 0, cell: cell), at: 0)
    }

    /// What is too long for a page goes on in pages of its own.
    private func appendPayload(to cell: inout [UInt8]) throws(KappaError) {
        guard payload.count > BulkPage.mostLocal else {
            cell += payload
            return
        }
        let room = BulkPage.size - 4
        let least = BulkPage.leastLocal
        let fitting = least + (payload.count - least) % room
        let local = fitting <= BulkPage.mostLocal ? fitting : least
        cell += payload[..<local]
        let pages = (payload.count - local + room - 1) / room
        var number = file.allocate()
        withUnsafeBytes(of: number.bigEndian) { cell.append(contentsOf: $0) }
        for index in 0..<pages {
            let start = local + index * room
            let isLast = index == pages - 1
            let next = isLast ? 0 : file.allocate()
            var bytes = withUnsafeBytes(of: next.bigEndian) { Array($0) }
            bytes += payload[start..<min(start + room, payload.count)]
            bytes += repeatElement(0, count: BulkPage.size - bytes.count)
            try file.write(bytes, at: number)
            number = next
        }
    }

    private func add(_ entry: Entry, at height: Int) throws(KappaError) {
        if let waiting = levels[height].waiting {
            levels[height].waiting = nil
            let full = try close(height, rightmost: waiting.left)
            try add(Entry(left: full, cell: waiting.cell), at: height + 1)
        }
        if !levels[height].page.append(entry.cell, left: entry.left) {
            levels[height].waiting = entry
        }
    }

    /// Writes the page of a height, which is full, and begins a new one.
    private func close(_ height: Int, rightmost: UInt32) throws(KappaError) -> UInt32 {
        if levels.count == height + 1 {
            levels.append(Level(page: BulkPage(isLeaf: false)))
        }
        let number = file.allocate()
        try file.write(levels[height].page.bytes(rightmost: rightmost), at: number)
        levels[height].page.clear()
        return number
    }

    /// Writes what is left, and last of all the root.
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

    /// A row that still waits gets a page: the last of the full page goes up, to stand between.
    private func settleWaiting(_ height: Int) throws(KappaError) {
        guard let waiting = levels[height].waiting,
            let last = levels[height].page.removeLast()
        else { return }
        levels[height].waiting = nil
        let full = try close(height, rightmost: last.left)
        try add(Entry(left: full, cell: last.cell), at: height + 1)
        _ = levels[height].page.append(waiting.cell, left: waiting.left)
    }
}
