import CKappaJSON

/// Packs a reader's elements, or binds them as rows: from their columns where these are all there is to them,
/// from where else their cells stand, or from their structs.
final class ElementPacker<Element: ViewRow> {
    let codec: RowCodec<Element>
    private let reader: any ElementReader<Element>
    let kinds: [ColumnKind]
    let isColumnar: Bool
    /// The columns of the cells, where they are all that there is to an element; else none.
    private(set) var columns: [kj_column] = []

    init(_ reader: any ElementReader<Element>, _ codec: RowCodec<Element>) {
        self.reader = reader
        self.codec = codec
        kinds = codec.columns.map(\.kind)
        isColumnar = reader.isColumnar && codec.isFlat
    }

    /// A range was read.
    func refresh() {
        guard isColumnar else { return }
        columns = kinds.indices.map { reader.column($0) }
    }

    /// Packs the element that stands in a row as the first cells of a packed row.
    func pack(_ row: Int, into builder: PackedRowBuilder) throws {
        builder.begin()
        if isColumnar {
            builder.set(columns, row, kinds)
        } else if !reader.pack(row, into: builder) {
            try reader.with(row) { try codec.pack($0, into: builder) }
        }
    }

    /// Binds the element that stands in a row, the first of its cells at index `first`, where columns are not
    /// all that there is to it.
    func bind(_ row: Int, to writer: RecordList, at first: Int, by builder: PackedRowBuilder) throws
    {
        builder.begin()
        if reader.pack(row, into: builder) {
            builder.row.bind(kinds.count, of: kinds.count, to: writer, at: first)
        } else {
            try reader.with(row) { try codec.bind($0, to: writer, at: first) }
        }
    }
}

extension RecordList {
    /// Binds what columns hold in a row, the first at index `first`.
    @inline(__always)
    func bind(_ columns: [kj_column], _ row: Int, _ kinds: [ColumnKind], at first: Int) {
        for index in 0..<kinds.count { bind(first + index, columns[index], row, kinds[index]) }
    }

    @inline(__always)
    private func bind(_ index: Int, _ column: kj_column, _ row: Int, _ kind: ColumnKind) {
        guard column.states[row] == UInt8(KJ_VALUE.rawValue) else { return bindNull(index) }
        switch kind {
        case .bool: bind(index, Int64(column.integers[row] != 0 ? 1 : 0))
        case .integer, .timestamp: bind(index, column.integers[row])
        case .double: bind(index, column.doubles[row])
        case .decimal:
            guard let value = column.decimal(row) else { return bindNull(index) }
            DecimalCell.bind(value, to: self, at: index)
        case .text, .json: bind(index, text: column.strings[row].buffer)
        }
    }
}
