import CKappaJSON
import Synchronization

/// The fields that all views of one scan need, each extracted once.
///
/// Fields are added before the first batch is made. From then on the plan only extracts, on one thread at a
/// time; a ``BlockExtractor`` does so on its own thread.
package final class ExtractionPlan {
    private let extractor: OpaquePointer
    private let checksAgain: Bool
    private let turn = Mutex(())
    private var columns: [FieldKey: Int] = [:]
    private var objects: [[String]: UInt32] = [[]: 0]
    private var presences: [[String]: Int] = [:]
    private(set) var columnCount = 0
    private(set) var hasIngestionTimes = false

    private struct FieldKey: Hashable {
        var path: [String]
        var kind: ColumnKind
        var times: TimeRules
        /// Whether only the exact name is meant, and no other spelling of it.
        var isExact = false
    }
    /// The columns of times whose event type names a time zone.
    private(set) var zoned: [(column: Int, clock: LocalClock)] = []

    /// - Parameter checksAgain: Whether the JSON is checked again, as it was when it was appended. That takes
    ///   a scan by simdjson; without it, a faster walk relies on the first check and the block's checksum.
    package init(checksAgain: Bool = false) {
        extractor = kj_extractor_new()
        self.checksAgain = checksAgain
    }
    deinit { kj_extractor_free(extractor) }

    /// The column of the field at `path`, read as `kind`.
    /// - Parameter times: How times are read.
    func column(
        at path: [String], _ kind: ColumnKind, _ times: TimeRules = TimeRules()
    ) -> Int {
        let times = kind == .timestamp ? times : TimeRules()
        return add(FieldKey(path: path, kind: kind, times: times))
    }

    /// The column of a field that a type asks for.
    func column(of field: EventField, _ times: TimeRules) -> Int {
        column(at: field.path, field.columnKind, times.counting(field.unit))
    }

    /// The column of the field that holds an event's type. Only this exact name counts: a field `eventType`
    /// does not stand for `event_type`.
    func typeColumn(_ name: String) -> Int {
        add(FieldKey(path: [name], kind: .text, times: TimeRules(), isExact: true))
    }

    private func add(_ key: FieldKey) -> Int {
        if let known = columns[key] { return known }
        guard let name = key.path.last else { preconditionFailure("a field has a name") }
        let parent = object(at: key.path.dropLast())
        let names = key.isExact ? [name] : FieldName.candidates(for: name)
        let column = Self.with(names) { names, count in
            kj_add_field(extractor, parent, names, count, key.kind.cKind, key.times.cUnit)
        }
        columns[key] = Int(column)
        columnCount += 1
        if let clock = key.times.clock { zoned.append((Int(column), clock)) }
        return Int(column)
    }

    /// Stands for the column of the events' ingestion times, which are not in their JSON; see
    /// ``EventBatch/times(_:)``.
    static let ingestionTimes = -1

    /// Asks for the events' ingestion times.
    func ingestionColumn() -> Int {
        hasIngestionTimes = true
        return Self.ingestionTimes
    }

    /// Columns of times without those that are more than `ahead` microseconds ahead of their events'
    /// ingestion.
    private(set) var limited: [(column: Int, ahead: Int64)] = []

    /// Asks for a column of times without those that are too far ahead; for ``EventBatch/times(_:)``.
    func timeColumn(_ column: Int, atMostAhead ahead: Int64) -> Int {
        _ = ingestionColumn()
        let known = limited.firstIndex { $0.column == column && $0.ahead == ahead }
        if known == nil { limited.append((column, ahead)) }
        return Self.ingestionTimes - 1 - (known ?? limited.count - 1)
    }

    /// The column that says whether there is an object at `path`; it holds only states.
    func objectColumn(at path: [String]) -> Int {
        if let known = presences[path] { return known }
        guard let name = path.last else { preconditionFailure("the event itself is there") }
        let parent = object(at: path.dropLast())
        let column = Self.with(FieldName.candidates(for: name)) { names, count in
            kj_add_field(extractor, parent, names, count, KJ_OBJECT, KJ_NO_UNIT)
        }
        presences[path] = Int(column)
        columnCount += 1
        return Int(column)
    }

    private func object(at path: ArraySlice<String>) -> UInt32 {
        let key = Array(path)
        if let known = objects[key] { return known }
        guard let name = path.last else { return 0 }
        let parent = object(at: path.dropLast())
        let node = Self.with(FieldName.candidates(for: name)) { names, count in
            kj_add_object(extractor, parent, names, count)
        }
        objects[key] = node
        return node
    }

    private static func with<R>(
        _ names: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>, Int) -> R
    ) -> R {
        let storage = names.map { Array($0.utf8CString) }.map { name in
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: name.count)
            copy.initialize(from: name, count: name.count)
            return copy
        }
        defer { for name in storage { name.deallocate() } }
        let pointers: [UnsafePointer<CChar>?] = storage.map { UnsafePointer($0) }
        return pointers.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { preconditionFailure("a key has a name") }
            return body(base, buffer.count)
        }
    }

    func makeBatch() -> OpaquePointer { kj_batch_new(extractor) }

    func extract(
        _ payload: UnsafeRawBufferPointer, count: Int, into batch: OpaquePointer,
        by other: BlockExtractor?
    ) -> Bool {
        let extract = checksAgain ? kj_extract_checked : kj_extract
        let bytes = payload.baseAddress?.assumingMemoryBound(to: CChar.self)
        if let other { return extract(other.extractor, bytes, payload.count, count, batch) }
        return turn.withLock { _ in extract(extractor, bytes, payload.count, count, batch) }
    }

    /// An extractor for another thread.
    func makeExtractor() -> BlockExtractor {
        turn.withLock { _ in BlockExtractor(kj_extractor_copy(extractor)) }
    }
}

/// Extracts a plan's fields on its own thread.
///
/// `@unchecked Sendable`: made on one thread, and then used on only one other.
final class BlockExtractor: @unchecked Sendable {
    let extractor: OpaquePointer

    fileprivate init(_ extractor: OpaquePointer) { self.extractor = extractor }
    deinit { kj_extractor_free(extractor) }
}
