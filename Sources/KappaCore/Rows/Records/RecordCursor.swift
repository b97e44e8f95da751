/// Reads the cells of one record after another.
package final class RecordCursor: RowCursor {
    /// The current record.
    private(set) var record = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The type and place of each cell, by column.
    private let cells: UnsafeMutablePointer<(type: UInt64, at: Int)>
    /// The column at each place of a record.
    private let order: UnsafeMutableBufferPointer<Int>

    package init(_ schema: TableSchema) {
        let order = RecordEncoder.order(of: schema)
        self.order = .allocate(capacity: order.count)
        _ = self.order.initialize(from: order)
        cells = .allocate(capacity: order.count)
        cells.initialize(repeating: (0, 0), count: order.count)
    }

    deinit {
        cells.deallocate()
        order.deallocate()
    }

    /// Moves to a record, whose bytes must stay in place; false if it is not a record of the table.
    package func take(_ record: UnsafeRawBufferPointer) -> Bool {
        self.record = record
        guard let start = record.baseAddress else { return false }
        var at = start
        guard let headerSize = Varint.read(&at, start + record.count),
            headerSize <= UInt64(record.count)
        else { return false }
        let headerEnd = start + Int(headerSize)
        var body = Int(headerSize)
        for column in order {
            guard at < headerEnd, let type = Varint.read(&at, headerEnd) else { return false }
            cells[column] = (type, body)
            body += RecordType.size(type)
        }
        return body == record.count
    }

    private func word(_ index: Int) -> UInt64 {
        let (type, at) = cells[index]
        let bytes = RecordType.size(type)
        var word: UInt64 = bytes > 0 && record[at] >= 0x80 ? .max : 0
        for place in at..<(at + bytes) { word = word << 8 | UInt64(record[place]) }
        return word
    }

    package func isNull(_ index: Int) -> Bool { cells[index].type == RecordType.null }
    package func integer(_ index: Int) -> Int64 {
        switch cells[index].type {
        case 8: 0
        case 9: 1
        default: Int64(bitPattern: word(index))
        }
    }
    package func double(_ index: Int) -> Double {
        cells[index].type == RecordType.double
            ? Double(bitPattern: word(index)) : Double(integer(index))
    }
    package func text(_ index: Int) -> UnsafeRawBufferPointer {
        let (type, at) = cells[index]
        return UnsafeRawBufferPointer(rebasing: record[at..<(at + RecordType.size(type))])
    }
    package func blob(_ index: Int) -> UnsafeRawBufferPointer { text(index) }
    package func storage(_ index: Int) -> CellStorage {
        switch cells[index].type {
        case RecordType.null: .null
        case RecordType.double: .double
        case let type where type < RecordType.firstOfBytes: .integer
        case let type: type & 1 == 1 ? .text : .blob
        }
    }

    /// Binds all cells.
    package func bind(to writer: any RowWriter) {
        for column in 0..<order.count { writer.bind(column, self, column) }
    }
}
