import CKappaJSON

/// Elements made by a reader, with their events, times and fields.
final class ElementBuffer<Element> {
    let list = ElementList()
    /// The elements themselves. Those that a loop appends are in the list only after
    /// ``takeOver(from:times:)``.
    var sink = ElementSink<Element>()
    private let times = ComputedColumn(kind: .timestamp)
    private let fields = StructFields.of(Element.self, always: true)
    /// The columns of the fields requested so far, and how many rows of each are filled.
    private var columns: [ComputedColumn?]
    private var filled: [Int]

    init() {
        columns = Array(repeating: nil, count: fields?.fields.count ?? 0)
        filled = Array(repeating: 0, count: columns.count)
    }

    deinit { sink.deallocate() }

    func clear() {
        sink.truncate(to: 0)
        list.clear()
        for index in filled.indices {
            filled[index] = 0
            columns[index]?.clear()
        }
    }

    func append(_ element: Element, _ time: Timestamp?, _ event: Int32) {
        let row = sink.count
        sink.append(element, of: row)
        times.set(row, integer: time?.microseconds)
        list.append(row: row, event: event)
    }

    /// Adds the elements that a loop has appended to the sink to the list, with the events and times of the
    /// old elements they were made from. If one of an event's old elements has failed, no element of that
    /// event is added.
    /// - Returns: The failed events, each once, with the first error.
    func takeOver(
        from old: ElementList, times oldTimes: kj_column?
    ) -> [(event: Int32, error: any Error)] {
        let events = old.events
        var failed: [(event: Int32, error: any Error)] = []
        if !sink.failures.isEmpty {
            // Sorted, because a chunk reports structs that could not be made before failures of the loop.
            for (old, error) in sink.failures.sorted(by: { $0.old < $1.old })
            where failed.last?.event != events[old] {
                failed.append((events[old], error))
            }
            let failedEvents = Set(failed.map(\.event))
            sink.remove(from: list.count) { failedEvents.contains(events[$0]) }
            sink.failures.removeAll()
        }
        let new = list.count..<sink.count
        if let oldTimes {
            let rows = old.rows
            for row in new { times.set(row, oldTimes, Int(rows[Int(sink.origins[row])])) }
        }
        list.append(rows: new, sink.origins, of: events)
        return failed
    }

    /// Removes elements from the end, until `count` are left.
    func truncate(to count: Int) {
        sink.truncate(to: count)
        list.truncate(to: count)
        for index in filled.indices { filled[index] = min(filled[index], count) }
    }

    func with(_ row: Int, _ body: (UnsafePointer<Element>) throws -> Void) throws {
        try body(UnsafePointer(sink.elements + row))
    }

    /// Copies the elements of some rows for a loop; see ``ElementReader/forStructs(_:_:failed:)``.
    func forStructs(
        _ rows: ArraySlice<Int32>, _ body: (UnsafeMutablePointer<Element>, Range<Int>) -> Void
    ) {
        let elements = sink.elements
        withUnsafeTemporaryAllocation(of: Element.self, capacity: structsAtOnce) { copies in
            guard let first = copies.baseAddress else { return }
            rows.forChunks(of: structsAtOnce) { chunk, numbers in
                for (index, row) in chunk.enumerated() {
                    (first + index).initialize(from: elements + Int(row), count: 1)
                }
                body(first, numbers)
            }
        }
    }

    var timeColumn: kj_column { times.column }

    func field(of keyPath: AnyKeyPath) -> Int? {
        EventReaderOptions.forbidLayouts ? nil : fields?.field(keyPath)
    }

    func column(_ field: Int) -> kj_column {
        guard let slot = fields?.slot(field) else {
            preconditionFailure("a field is asked for that was found")
        }
        let column = columns[field] ?? ComputedColumn(kind: slot.kind)
        columns[field] = column
        let base = UnsafeRawPointer(sink.elements) + slot.offset
        for row in filled[field]..<sink.count {
            column.set(row, slot, base + row * MemoryLayout<Element>.stride)
        }
        filled[field] = sink.count
        return column.column
    }
}

extension ComputedColumn {
    /// Sets a row to the value of a slot at an address.
    func set(_ row: Int, _ slot: StructLayout.Slot, _ place: UnsafeRawPointer) {
        switch slot.kind {
        case .bool: set(row, slot.read(Bool.self, place).map { .bool($0) } ?? .null)
        case .integer, .timestamp: set(row, integer: slot.read(Int64.self, place))
        case .double: set(row, slot.read(Double.self, place).map { .double($0) } ?? .null)
        case .decimal: set(row, slot.read(ExactDecimal.self, place).map { .decimal($0) } ?? .null)
        case .text, .json: set(row, slot.read(String.self, place).map { .text($0) } ?? .null)
        }
    }
}
