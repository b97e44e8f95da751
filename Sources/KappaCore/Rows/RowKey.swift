import Glibc

/// The key of a row that was written, copied: rows of a ``BulkTable`` must come in the order of their keys.
final class RowKey {
    private let parts: [(bytes: ScratchMemory, isText: Bool)]

    init(_ schema: TableSchema) {
        parts = schema.keyColumns.map { column in
            (ScratchMemory(), [.text, .json].contains(schema.columns[column].kind))
        }
    }

    func set(_ part: Int, _ value: Int64) {
        withUnsafeBytes(of: value) { parts[part].bytes.set($0) }
    }

    func set(_ part: Int, _ text: UnsafeRawBufferPointer) { parts[part].bytes.set(text) }

    func set(_ other: RowKey) {
        for (mine, theirs) in zip(parts, other.parts) { mine.bytes.set(theirs.bytes.bytes) }
    }

    /// A part that is an integer; zero where the key has no such part.
    func integer(_ part: Int) -> Int64 {
        part < parts.count ? parts[part].bytes.bytes.loadUnaligned(as: Int64.self) : 0
    }

    func isBefore(_ other: RowKey) -> Bool {
        for (mine, theirs) in zip(parts, other.parts) {
            let (a, b) = (mine.bytes.bytes, theirs.bytes.bytes)
            if mine.isText {
                let order = ByteOrder.compare(a, b)
                if order != 0 { return order < 0 }
            } else {
                let (a, b) = (a.loadUnaligned(as: Int64.self), b.loadUnaligned(as: Int64.self))
                if a != b { return a < b }
            }
        }
        return false
    }

    func save(to state: inout StateWriter) {
        for part in parts { state.write(text: part.bytes.bytes) }
    }

    func load(from state: inout StateReader) throws(KappaError) {
        for part in parts { part.bytes.set(try state.readBytes()) }
    }
}
