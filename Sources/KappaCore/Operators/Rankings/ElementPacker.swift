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
            builder.bind(columns, row, kinds)
        } else if !reader.pack(row, into: builder) {
            try reader.with(row) { try codec.pack($0, into: builder) }
        }
    }

    /// Binds the element that stands in a row, the first of its cells at index `first`, where columns are not
    /// all that there is to it.
    func bind(_ row: Int, to rows: RecordList, at first: Int) throws {
        if reader.bind(row, to: rows, at: first) { return }
        try reader.with(row) { try codec.bind($0, to: rows, at: first) }
    }
}
