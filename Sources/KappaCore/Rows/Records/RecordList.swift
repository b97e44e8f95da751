/// Rows that wait to be written, as the records that will be stored, each preceded by its size (4 bytes).
///
/// The list is a ``RowWriter`` itself: the row that is bound and executed becomes the last record.
package final class RecordList: RowWriter {
    package let schema: TableSchema
    private let encoder: RecordEncoder
    /// The chunks that are full, some that are free again, and the one that is being filled.
    private var full: [Chunk] = []
    private var idle: [Chunk] = []
    private var chunk = Chunk(memory: .allocate(byteCount: fewBytes, alignment: 8), size: fewBytes)
    private var used = 0
    private(set) package var count = 0

    private struct Chunk {
        let memory: UnsafeMutableRawPointer
        let size: Int
        /// Bytes of records, if the chunk is full.
        var used = 0
    }

    /// The end of a list at some time.
    struct Mark {
        fileprivate let chunks: Int
        fileprivate let used: Int
        let count: Int
    }

    private static let fewBytes = 1 << 16
    private static let chunkBytes = 1 << 20
    /// How many chunks are kept when rows are removed, because as many are often needed again.
    private static let mostIdle = 8

    package init(_ schema: TableSchema) {
        self.schema = schema
        encoder = RecordEncoder(schema)
    }

    deinit {
        for chunk in full + idle { chunk.memory.deallocate() }
        chunk.memory.deallocate()
    }

    /// Bytes of memory that records take.
    package var memoryBytes: Int { full.count * Self.chunkBytes + used }

    // MARK: Adding

    @inline(__always)
    package func bindNull(_ index: Int) { encoder.setNull(index) }
    @inline(__always)
    package func bind(_ index: Int, _ value: Int64) { encoder.set(index, value) }
    @inline(__always)
    package func bind(_ index: Int, _ value: Double) { encoder.set(index, value) }
    @inline(__always)
    package func bind(_ index: Int, text: UnsafeRawBufferPointer) { encoder.set(index, text: text) }
    package func bind(_ index: Int, _ text: String) { encoder.set(index, text) }
    @inline(__always)
    package func bind(_ index: Int, blob: UnsafeRawBufferPointer) { encoder.set(index, blob: blob) }

    /// Adds the row that was bound.
    package func execute() {
        let room = reserve(encoder.mostBytes)
        add(encoder.write(to: room + 4), at: room)
    }

    /// Adds a copy of a record.
    package func append(_ record: UnsafeRawBufferPointer) {
        let room = reserve(record.count)
        if let source = record.baseAddress {
            (room + 4).copyMemory(from: source, byteCount: record.count)
        }
        add(record.count, at: room)
    }

    @inline(__always)
    private func add(_ size: Int, at room: UnsafeMutableRawPointer) {
        room.store(UInt32(size))
        used += 4 + size
        count += 1
    }

    /// Memory for a record and its size.
    @inline(__always)
    private func reserve(_ size: Int) -> UnsafeMutableRawPointer {
        if used + 4 + size > chunk.size { beginChunk(4 + size) }
        return chunk.memory + used
    }

    private func beginChunk(_ size: Int) {
        chunk.used = used
        full.append(chunk)
        used = 0
        if size <= Self.chunkBytes, let known = idle.popLast() {
            chunk = known
            return
        }
        let size = max(Self.chunkBytes, size)
        chunk = Chunk(memory: .allocate(byteCount: size, alignment: 8), size: size)
    }

    // MARK: Removing

    var end: Mark { Mark(chunks: full.count, used: used, count: count) }

    /// Removes what was added after a mark.
    func truncate(to mark: Mark) {
        while full.count > mark.chunks {
            if idle.count < Self.mostIdle {
                idle.append(chunk)
            } else {
                chunk.memory.deallocate()
            }
            chunk = full.removeLast()
        }
        used = mark.used
        count = mark.count
    }

    package func removeAll() { truncate(to: Mark(chunks: 0, used: 0, count: 0)) }

    // MARK: Reading

    /// Visits the records in their order.
    package func forEachRecord(
        _ visit: (UnsafeRawBufferPointer) throws(KappaError) -> Void
    ) throws(KappaError) {
        for chunk in full { try Self.visit(chunk.memory, chunk.used, visit) }
        try Self.visit(chunk.memory, used, visit)
    }

    private static func visit(
        _ memory: UnsafeMutableRawPointer, _ used: Int,
        _ body: (UnsafeRawBufferPointer) throws(KappaError) -> Void
    ) throws(KappaError) {
        var at = 0
        while at < used {
            let size = Int(memory.number(UInt32.self, at: at))
            try body(UnsafeRawBufferPointer(start: memory + at + 4, count: size))
            at += 4 + size
        }
    }

    /// Moves a cursor to each row in their order.
    package func forEachRow(_ cursor: RecordCursor, _ visit: () throws -> Void) throws {
        var failure: (any Error)?
        try forEachRecord { record throws(KappaError) in
            guard failure == nil else { return }
            guard cursor.take(record) else { throw Self.damage(schema) }
            do { try visit() } catch { failure = error }
        }
        if let failure { throw failure }
    }

    static func damage(_ schema: TableSchema) -> KappaError {
        KappaError(.bug, "a row of \(schema.name) is not one of its records")
    }
}
