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
    /// Where some of the rows begin, in bytes; the first one among them.
    private(set) var marks: [Int] = []
    private let markBytes = RunSizes.mark

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
        if position + used >= (marks.last ?? -markBytes) + markBytes {
            marks.append(position + used)
        }
        buffer.store(UInt32(record.count), at: used)
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
