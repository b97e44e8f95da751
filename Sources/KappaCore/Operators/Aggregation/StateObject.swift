import CKappaJSON

/// Counts the bytes that the state objects of one table hold. It must outlive them.
final class StateBytes {
    let counter = UnsafeMutablePointer<Int>.allocate(capacity: 1)

    init() { counter.initialize(to: 0) }
    deinit { counter.deallocate() }

    var total: Int { counter.pointee }
}

/// A state of variable size. A record owns it through an unmanaged reference.
///
/// An object reports how much memory it holds whenever that changes, so a table knows the sum without
/// visiting all objects.
class StateObject {
    private let counter: UnsafeMutablePointer<Int>?
    private(set) final var byteCount = 0

    /// - Parameter counter: Where the bytes of all objects are added up; nil for an object that is not
    ///   counted.
    init(_ counter: UnsafeMutablePointer<Int>?) { self.counter = counter }

    deinit { counter?.pointee -= byteCount }

    /// Notes how many bytes the object holds now.
    final func hold(_ bytes: Int) {
        counter?.pointee += bytes - byteCount
        byteCount = bytes
    }

    /// Takes a row. The value that ranks it is not null: it comes from `order`, or from `column` if `order`
    /// is nil.
    func add(_ column: kj_column, _ order: kj_column?, _ row: Int, offset: Int64) {}
    /// Merges in another state of the same aggregate, over other events.
    func merge(_ other: StateObject) {}
    func emit(to sink: inout some CellSink) { sink.null() }
    func save(to state: inout StateWriter) {}
    /// Reads the state from a stored row: from its part of the blob, and from the aggregate's cell.
    func load(
        from state: inout StateReader, _ cursor: any RowCursor, _ column: Int
    ) throws(KappaError) {}

    /// The approximate bytes that an object takes besides the contents of its storage.
    static let overheadBytes = 96
}

extension Accumulator {
    /// The record's object; created if there is none.
    func object(_ record: UnsafeMutableRawPointer) -> StateObject {
        if let known = record.load(fromByteOffset: place, as: UnsafeRawPointer?.self) {
            return Unmanaged<StateObject>.fromOpaque(known).takeUnretainedValue()
        }
        let new = makeObject()
        record.storeBytes(
            of: UnsafeRawPointer(Unmanaged.passRetained(new).toOpaque()), toByteOffset: place,
            as: UnsafeRawPointer.self)
        return new
    }

    private func makeObject() -> StateObject {
        switch function {
        case .collect: return CollectedValues(limit: settings.limit, kind: kind, heldBytes)
        case .approximateDistinct: return DistinctSketch(kind: kind, heldBytes)
        case .top, .bottom:
            return switch orderKind {
            case .text, .json: RankedValues<ByteText>(self)
            case .decimal: RankedValues<ExactDecimal>(self)
            case .bool, .integer, .timestamp, .double: RankedValues<Int64>(self)
            }
        case .quantile:
            return switch kind {
            case .text, .json: ValueBag<ByteText>(self)
            case .decimal: ValueBag<ExactDecimal>(self)
            case .bool, .integer, .timestamp, .double: ValueBag<Int64>(self)
            }
        case .approximateQuantile: return ValueBag<Int64>(self)
        default:
            return switch kind {
            case .text, .json, .decimal: DistinctTexts(kind: kind, heldBytes)
            case .bool, .integer, .timestamp, .double: DistinctIntegers(kind: kind, heldBytes)
            }
        }
    }

    /// Inserts one integer into a record's ``DistinctIntegers``.
    @inline(__always)
    func insertDistinct(_ record: UnsafeMutableRawPointer, _ value: Int64) {
        guard let known = record.load(fromByteOffset: place, as: UnsafeRawPointer?.self) else {
            return unsafeDowncast(object(record), to: DistinctIntegers.self).insert(value)
        }
        Unmanaged<DistinctIntegers>.fromOpaque(known)._withUnsafeGuaranteedRef {
            $0.insert(value)
        }
    }

    func releaseObject(_ record: UnsafeMutableRawPointer) {
        guard let known = record.load(fromByteOffset: place, as: UnsafeRawPointer?.self) else {
            return
        }
        Unmanaged<StateObject>.fromOpaque(known).release()
    }
}
