import CKappaJSON

/// Reads the events of one type: as columns if columns alone decide which events are valid, else as decoded
/// structs.
final class TypedEventReader<E: Event>: ElementReader {
    private let reader: EventReader<E>
    private let time: (KeyPath<E, Timestamp> & Sendable)?
    private let timeColumn: Int?
    /// Set if the events have to be decoded one by one.
    private let decoded: ElementBuffer<E>?
    private let ownList = ElementList()
    private var selection: [Int32] = []
    private var batch: EventBatch?
    /// How many elements there were before the current reading.
    private var mark = 0
    let timeColumns: [Int]
    let isColumnar: Bool
    /// How far an event's time may be ahead of its ingestion, in microseconds.
    private let mostAhead: Int64?

    init(
        plan: ExtractionPlan, time: TimeSource<E>?, mostAhead: Int64? = nil
    ) throws(KappaError) {
        let reader = try EventReader<E>(plan: plan, clocks: TimeZoneDatabase.clock)
        self.reader = reader
        switch time {
        case .property(let property):
            self.time = property
            timeColumn = reader.tracer.field(of: property).map { reader.fieldColumns[$0] }
        case .ingestion:
            self.time = nil
            timeColumn = plan.ingestionColumn()
        case nil: (self.time, timeColumn) = (nil, nil)
        }
        self.mostAhead = mostAhead
        if let mostAhead {
            _ = plan.ingestionColumn()
            timeColumns =
                timeColumn.map { column in
                    [column < 0 ? column : plan.timeColumn(column, atMostAhead: mostAhead)]
                } ?? []
        } else {
            timeColumns = timeColumn.map { [$0] } ?? []
        }
        let isPlain = reader.isPlain && (time == nil || timeColumn != nil)
        isColumnar = isPlain && reader.hasLayout
        decoded = isPlain ? nil : ElementBuffer()
    }

    var list: ElementList { decoded?.list ?? ownList }
    var remembers: Bool { false }

    func load(_ batch: EventBatch) {
        self.batch = batch
        reader.load(batch)
        ownList.clear()
        decoded?.clear()
    }

    func read(_ range: Range<Int>) {
        guard let batch else { return }
        list.begin()
        mark = list.count
        selection.removeAll(keepingCapacity: true)
        reader.select(range, into: &selection)
        if let decoded { return decode(into: decoded, batch) }
        for required in reader.required { check(required, batch) }
        if let mostAhead { leaveOut(batch, ahead: mostAhead) }
        ownList.append(events: selection)
    }

    /// Removes the events whose field is not what the type requires from the selection.
    private func check(_ required: RequiredColumn, _ batch: EventBatch) {
        if batch.isFull(required.column) { return }
        let column = batch.columns[required.column]
        guard let states = column.states else { return }
        if all(states, equal: UInt8(KJ_VALUE.rawValue)) {
            guard required.isDecimal, let scales = column.scales else { return }
            if !any(scales, equal: UInt8(KJ_WIDE)) { return }
        }
        let isGood = { (row: Int32) in required.isGood(column, Int(row)) }
        if selection.allSatisfy(isGood) { return }
        selection.removeAll { row in
            if isGood(row) { return false }
            fail(row, required.failure(column, Int(row)))
            return true
        }
    }

    /// Removes the events whose time is too far ahead of their ingestion from the selection.
    private func leaveOut(_ batch: EventBatch, ahead: Int64) {
        guard let times else { return }
        let ingestion = batch.times(ExtractionPlan.ingestionTimes)
        selection.removeAll { row in
            guard LimitedTimes.isAhead(times, ingestion, Int(row), by: ahead) else { return false }
            fail(row, tooFarAhead(times.integers[Int(row)], ingestion.integers[Int(row)], ahead))
            return true
        }
    }

    private func tooFarAhead(_ time: Int64, _ ingested: Int64, _ ahead: Int64) -> FieldFailure {
        FieldFailure(
            description: "its time, \(Timestamp(microseconds: time)), is more than "
                + "\(Duration.microseconds(ahead)) ahead of when it was appended, "
                + "\(Timestamp(microseconds: ingested))")
    }

    // Neither loop has a branch that depends on an event.

    private func all(_ bytes: UnsafePointer<UInt8>, equal byte: UInt8) -> Bool {
        selection.reduce(0) { $0 | (bytes[Int($1)] ^ byte) } == 0
    }

    private func any(_ bytes: UnsafePointer<UInt8>, equal byte: UInt8) -> Bool {
        selection.reduce(0) { $0 &+ (bytes[Int($1)] == byte ? 1 : 0) } > 0
    }

    private func decode(into decoded: ElementBuffer<E>, _ batch: EventBatch) {
        // The ingestion time is not a field of the event.
        let times = time == nil ? timeColumn.map { batch.times($0) } : nil
        for row in selection {
            do {
                try reader.with(Int(row)) { event in
                    let own = time.map { event.pointee[keyPath: $0] }
                    if let mostAhead, let own {
                        let ingestion = batch.times(ExtractionPlan.ingestionTimes)
                        let micros = own.microseconds
                        if LimitedTimes.isAhead(micros, ingestion, Int(row), by: mostAhead) {
                            throw tooFarAhead(
                                micros, ingestion.integers[Int(row)], mostAhead)
                        }
                    }
                    let ingested = times.map { Timestamp(microseconds: $0.integers[Int(row)]) }
                    decoded.append(event.pointee, own ?? ingested, row)
                }
            } catch {
                fail(row, error)
            }
        }
    }

    func settle() {}
    func undo() { decoded.map { $0.truncate(to: mark) } ?? ownList.truncate(to: mark) }

    func with(_ row: Int, _ body: (UnsafePointer<E>) throws -> Void) throws {
        if let decoded { return try decoded.with(row, body) }
        try reader.with(row, isChecked: true, body)
    }

    func forStructs(
        _ rows: ArraySlice<Int32>, _ body: (UnsafeMutablePointer<E>, Range<Int>) -> Void,
        failed: (Int, any Error) -> Void
    ) {
        if let decoded { return decoded.forStructs(rows, body) }
        rows.forChunks(of: structsAtOnce) { chunk, numbers in
            if let made = reader.make(chunk, areChecked: true) {
                return body(made.assumingMemoryBound(to: E.self), numbers)
            }
            for number in numbers {
                do {
                    let made = try reader.make(Int(rows[number]), isChecked: true)
                    body(made, number..<(number + 1))
                } catch {
                    failed(number, error)
                }
            }
        }
    }

    var times: kj_column? {
        if let decoded { return decoded.timeColumn }
        guard let batch else { return nil }
        return timeColumn.map { batch.times($0) }
    }

    func field(of keyPath: AnyKeyPath) -> Int? {
        if let decoded { return decoded.field(of: keyPath) }
        return (keyPath as? PartialKeyPath<E>).flatMap { reader.tracer.field(of: $0) }
    }

    func column(_ field: Int) -> kj_column {
        if let decoded { return decoded.column(field) }
        guard let batch else { preconditionFailure("a batch is loaded before it is read") }
        return batch.columns[reader.fieldColumns[field]]
    }
}

/// Where the time of events comes from.
enum TimeSource<Element>: Sendable {
    case property(KeyPath<Element, Timestamp> & Sendable)
    case ingestion
}
