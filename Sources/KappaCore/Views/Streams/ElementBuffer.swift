import CKappaJSON

/// Elements that were made one by one, with what else is to be known of them.
final class ElementBuffer<Element> {
    let list = ElementList()
    private var elements: UnsafeMutablePointer<Element>
    private var capacity = 256
    private var count = 0
    private var times = UnsafeMutablePointer<Int64>.allocate(capacity: 256)
    private var timeStates = UnsafeMutablePointer<UInt8>.allocate(capacity: 256)
    private let fields = StructFields.of(Element.self)
    /// The fields that were asked for, and how many rows of them are filled.
    private var columns: [ComputedColumn?]
    private var filled: [Int]

    init() {
        elements = .allocate(capacity: capacity)
        columns = Array(repeating: nil, count: fields?.fields.count ?? 0)
        filled = Array(repeating: 0, count: columns.count)
    }

    deinit {
        clear()
        elements.deallocate()
        times.deallocate()
        timeStates.deallocate()
    }

    func clear() {
        elements.deinitialize(count: count)
        count = 0
        list.clear()
        for index in filled.indices {
            filled[index] = 0
            columns[index]?.clear()
        }
    }

    func append(_ element: Element, _ time: Timestamp?, _ event: Int32) {
        if count == capacity { grow() }
        (elements + count).initialize(to: element)
        times[count] = time?.microseconds ?? 0
        timeStates[count] = UInt8(time == nil ? KJ_NULL.rawValue : KJ_VALUE.rawValue)
        list.append(row: count, event: event)
        count += 1
    }

    /// Takes back elements until so many are left.
    func truncate(to newCount: Int) {
        guard newCount < count else { return }
        (elements + newCount).deinitialize(count: count - newCount)
        count = newCount
        list.truncate(to: newCount)
        for index in filled.indices { filled[index] = min(filled[index], newCount) }
    }

    func with(_ row: Int, _ body: (UnsafePointer<Element>) throws -> Void) throws {
        try body(UnsafePointer(elements + row))
    }

    func time(_ row: Int) -> Timestamp? {
        timeStates[row] == UInt8(KJ_VALUE.rawValue) ? Timestamp(microseconds: times[row]) : nil
    }

    var timeColumn: kj_column {
        kj_column(
            kind: KJ_TIMESTAMP, states: timeStates, integers: times, doubles: nil, strings: nil,
            scales: nil)
    }

    func field(of keyPath: AnyKeyPath) -> Int? { fields?.field(keyPath) }

    func column(_ field: Int) -> kj_column {
        guard let slot = fields?.layout.slots.first(where: { $0.field == field }) else {
            preconditionFailure("a field is asked for that was found")
        }
        let column = columns[field] ?? ComputedColumn(kind: slot.kind)
        columns[field] = column
        let base = UnsafeRawPointer(elements) + slot.offset
        for row in filled[field]..<count {
            column.set(row, slot, base + row * MemoryLayout<Element>.stride)
        }
        filled[field] = count
        return column.column
    }

    private func grow() {
        func moved<T>(_ old: UnsafeMutablePointer<T>) -> UnsafeMutablePointer<T> {
            let new = UnsafeMutablePointer<T>.allocate(capacity: 2 * capacity)
            new.moveInitialize(from: old, count: count)
            old.deallocate()
            return new
        }
        elements = moved(elements)
        times = moved(times)
        timeStates = moved(timeStates)
        capacity *= 2
    }
}

extension ComputedColumn {
    /// Sets a row to what stands at a slot of a struct.
    fileprivate func set(_ row: Int, _ slot: StructLayout.Slot, _ place: UnsafeRawPointer) {
        switch slot.kind {
        case .bool: set(row, slot.read(Bool.self, place).map { .bool($0) } ?? .null)
        case .integer, .timestamp: set(row, integer: slot.read(Int64.self, place))
        case .double: set(row, slot.read(Double.self, place).map { .double($0) } ?? .null)
        case .decimal: set(row, slot.read(Decimal.self, place).map { .decimal($0) } ?? .null)
        case .text, .json: set(row, slot.read(String.self, place).map { .text($0) } ?? .null)
        }
    }
}
