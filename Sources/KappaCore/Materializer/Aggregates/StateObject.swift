import CKappaJSON

/// A state of many values. Owned by a record through an unmanaged reference.
class StateObject {
    /// Takes in the value of a row, which is there.
    func add(_ column: kj_column, _ row: Int, kind: ColumnKind, offset: Int64) {}
    /// Takes in another state of the same aggregate, over other events.
    func merge(_ other: StateObject) {}
    func emit(to sink: inout some CellSink) { sink.null() }
    func save(to state: inout StateWriter) {}
    /// Takes in what a stored row holds: its part of the blob, and the cell of the aggregate.
    func load(
        from state: inout StateReader, _ cursor: any RowCursor, _ column: Int
    ) throws(KappaError) {}
}

extension Accumulator {
    /// The record's object; made where there is none.
    func object(_ record: UnsafeMutableRawPointer) -> StateObject {
        if let known = record.load(fromByteOffset: place, as: UnsafeRawPointer?.self) {
            return Unmanaged<StateObject>.fromOpaque(known).takeUnretainedValue()
        }
        let new: StateObject =
            switch function {
            case .collect: CollectedValues(limit: limit)
            case .approximateDistinct: DistinctSketch()
            default: DistinctValues()
            }
        record.storeBytes(
            of: UnsafeRawPointer(Unmanaged.passRetained(new).toOpaque()), toByteOffset: place,
            as: UnsafeRawPointer.self)
        return new
    }

    func releaseObject(_ record: UnsafeMutableRawPointer) {
        guard let known = record.load(fromByteOffset: place, as: UnsafeRawPointer?.self) else {
            return
        }
        Unmanaged<StateObject>.fromOpaque(known).release()
    }
}
