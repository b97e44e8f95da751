import Glibc

/// What takes the records of rows that come in the order of their keys.
protocol RecordSink: AnyObject {
    var hasRows: Bool { get }
    func append(_ record: UnsafeRawBufferPointer) throws(KappaError)
}

extension BulkTable: RecordSink {}

/// Writes a run: the records of some rows of one table, in the order of their keys, each behind its
/// length (4 bytes, little-endian).
final class RunWriter: RecordSink {
    private let file: OpenFile
    private let buffer = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 8)
    private var used = 0
    private var position = 0
    private(set) var hasRows = false

    private static let capacity = 1 << 20

    init(_ path: String) throws(KappaError) {
        do {
            file = OpenFile(
                try SystemFiles().open(path, O_RDWR | O_CREAT | O_TRUNC), path: path)
        } catch {
            throw error.error("cannot create a file for rows that do not fit memory", at: path)
        }
    }

    deinit { buffer.deallocate() }

    func append(_ record: UnsafeRawBufferPointer) throws(KappaError) {
        hasRows = true
        if used + 4 + record.count > Self.capacity { try flush() }
        (buffer + used).storeBytes(of: UInt32(record.count).littleEndian, as: UInt32.self)
        used += 4
        if record.count > Self.capacity - 4 {
            try flush()
            try write(record)
        } else if let source = record.baseAddress {
            (buffer + used).copyMemory(from: source, byteCount: record.count)
            used += record.count
        }
    }

    private func flush() throws(KappaError) {
        try write(UnsafeRawBufferPointer(start: buffer, count: used))
        used = 0
    }

    private func write(_ bytes: UnsafeRawBufferPointer) throws(KappaError) {
        do { try SystemFiles().write(file.descriptor, bytes, at: position) } catch {
            throw error.error("cannot write rows that do not fit memory", at: file.path)
        }
        position += bytes.count
    }

    /// Makes the run durable.
    func finish() throws(KappaError) {
        try flush()
        do { try SystemFiles().sync(file.descriptor) } catch {
            throw error.error("cannot make rows durable that do not fit memory", at: file.path)
        }
    }
}

/// Reads a run, row by row.
final class RunCursor: RowCursor {
    private let file: OpenFile
    private let size: Int
    private var position = 0
    private var buffer: UnsafeMutableRawBufferPointer
    private var start = 0
    private var filled = 0
    /// The type and place of each cell of the present row, in the order of the table's columns.
    private let cells: UnsafeMutablePointer<(type: UInt64, at: Int)>
    /// The column that stands at each place of a record.
    private let order: [Int]
    private let keys: [(column: Int, isText: Bool)]
    /// The present row as it was written.
    private(set) var record = UnsafeRawBufferPointer(start: nil, count: 0)

    init(_ path: String, _ schema: TableSchema) throws(KappaError) {
        file = try OpenFile(reading: path)
        size = file.size
        order = BulkRow.order(of: schema)
        keys = schema.keyColumns.map { column in
            (column, [.text, .json].contains(schema.columns[column].kind))
        }
        cells = .allocate(capacity: order.count)
        buffer = .allocate(byteCount: 1 << 18, alignment: 8)
    }

    deinit {
        buffer.deallocate()
        cells.deallocate()
    }

    /// Goes to the next row; false behind the last.
    func next() throws(KappaError) -> Bool {
        if start == filled, position == size { return false }
        try need(4)
        let length = Int(
            UInt32(littleEndian: buffer.loadUnaligned(fromByteOffset: start, as: UInt32.self)))
        try need(4 + length)
        start += 4
        let end = start + length
        guard parse(to: end) else { throw damage() }
        record = UnsafeRawBufferPointer(rebasing: buffer[start..<end])
        start = end
        return true
    }

    /// Negative, zero or positive, as the present row's key stands before, at or behind another's.
    func compareKey(_ other: RunCursor) -> Int {
        for (column, isText) in keys {
            if isText {
                let order = KeyOrder.compare(text(column), other.text(column))
                if order != 0 { return order }
            } else {
                let (a, b) = (integer(column), other.integer(column))
                if a != b { return a < b ? -1 : 1 }
            }
        }
        return 0
    }

    private func damage() -> KappaError {
        KappaError(
            .damaged, "rows that did not fit memory cannot be read", at: file.path,
            advice: "Drop the version with `kappa abort` and rebuild the view")
    }

    /// Has so many bytes of the file in the buffer, from `start` on.
    private func need(_ count: Int) throws(KappaError) {
        guard filled - start < count else { return }
        if count > buffer.count {
            let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: count * 2, alignment: 8)
            larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[start..<filled]))
            buffer.deallocate()
            buffer = larger
        } else if start > 0 {
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[start..<filled]))
        }
        filled -= start
        start = 0
        let read = try file.read(
            UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]), at: position)
        position += read
        filled += read
        if filled < count { throw damage() }
    }

    private func parse(to end: Int) -> Bool {
        var at = start
        guard let headerSize = varint(&at, end) else { return false }
        let headerEnd = start + Int(headerSize)
        var body = headerEnd
        for column in order {
            guard at < headerEnd, let type = varint(&at, headerEnd) else { return false }
            cells[column] = (type, body)
            body += Self.bytes(of: type)
        }
        return body == end
    }

    private func varint(_ at: inout Int, _ end: Int) -> UInt64? {
        var value: UInt64 = 0
        while at < end {
            let byte = buffer[at]
            at += 1
            value = value << 7 | UInt64(byte & 0x7F)
            if byte < 0x80 { return value }
        }
        return nil
    }

    private static func bytes(of type: UInt64) -> Int {
        switch type {
        case 0, 8, 9: 0
        case 1...4: Int(type)
        case 5: 6
        case 6, 7: 8
        default: Int(type - 12) / 2
        }
    }

    private func word(_ index: Int) -> UInt64 {
        let (type, at) = cells[index]
        let bytes = Self.bytes(of: type)
        var word: UInt64 = bytes > 0 && buffer[at] >= 0x80 ? .max : 0
        for place in at..<(at + bytes) { word = word << 8 | UInt64(buffer[place]) }
        return word
    }

    func isNull(_ index: Int) -> Bool { cells[index].type == 0 }
    func integer(_ index: Int) -> Int64 {
        switch cells[index].type {
        case 8: 0
        case 9: 1
        default: Int64(bitPattern: word(index))
        }
    }
    func double(_ index: Int) -> Double {
        cells[index].type == 7
            ? Double(bitPattern: word(index)) : Double(integer(index))
    }
    func text(_ index: Int) -> UnsafeRawBufferPointer {
        let (type, at) = cells[index]
        return UnsafeRawBufferPointer(rebasing: buffer[at..<(at + Self.bytes(of: type))])
    }
    func blob(_ index: Int) -> UnsafeRawBufferPointer { text(index) }
    func storage(_ index: Int) -> CellStorage {
        switch cells[index].type {
        case 0: .null
        case 7: .double
        case let type where type < 12: .integer
        case let type: type & 1 == 1 ? .text : .blob
        }
    }
}
