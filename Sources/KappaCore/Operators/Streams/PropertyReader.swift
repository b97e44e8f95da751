import CKappaJSON

/// Passes on another reader's elements as structs of another type, mapped property by property.
final class PropertyReader<Old: Decodable, New: ViewRow>: ElementReader {
    typealias Element = New
    private let upstream: any ElementReader<Old>
    private let map: PropertyMap<Old, New>
    /// The computer of each of the new struct's fields; nil if the field is copied.
    private let computers: [(any PropertyComputer)?]
    private let builder: StructBuilder<New>
    private var builderIsLoaded = false
    let list = ElementList()
    private var mark = 0

    init(_ upstream: any ElementReader<Old>, _ map: PropertyMap<Old, New>) {
        self.upstream = upstream
        self.map = map
        computers = map.properties.map { $0.computer?($0.slot, $0.newSlot) }
        builder = StructBuilder(map.new.layout, fieldColumns: [], required: [])
    }

    var remembers: Bool { upstream.remembers }
    var times: kj_column? { upstream.times }
    var timeColumns: [Int] { upstream.timeColumns }

    func load(_ batch: EventBatch) {
        upstream.load(batch)
        list.clear()
        for computer in computers { computer?.clear() }
    }

    func read(_ range: Range<Int>) {
        list.begin()
        mark = list.count
        builderIsLoaded = false
        guard let new = upstream.readNew(range, adopting: list) else { return }
        adopt(upstream.list, new, but: compute(new))
    }

    /// Computes the computed properties; returns the events for which that throws.
    private func compute(_ new: Range<Int>) -> [Int32: any Error] {
        let (rows, events) = (upstream.list.rows, upstream.list.events)
        var failed: [Int32: any Error] = [:]
        for (property, computer) in zip(map.properties, computers) {
            computer?.compute(upstream.column(property.field), rows[new]) { number, error in
                failed[events[number]] = failed[events[number]] ?? error
            }
        }
        return failed
    }

    func settle() { upstream.settle() }
    func undo() {
        list.truncate(to: mark)
        upstream.undo()
    }

    // Columns hold all of an element.

    var isColumnar: Bool { true }
    func field(of keyPath: AnyKeyPath) -> Int? { map.new.field(keyPath) }
    func column(_ field: Int) -> kj_column {
        computers[field]?.column ?? upstream.column(map.properties[field].field)
    }

    func with(_ row: Int, _ body: (UnsafePointer<New>) throws -> Void) throws {
        loadBuilder()
        try builder.with(row, isChecked: true, body)
    }

    func forStructs(
        _ rows: ArraySlice<Int32>, _ body: (UnsafeMutablePointer<New>, Range<Int>) -> Void,
        failed: (Int, any Error) -> Void
    ) {
        loadBuilder()
        rows.forChunks(of: structsAtOnce) { chunk, numbers in
            // The rows were checked before: no required value is missing.
            guard let made = builder.make(chunk, areChecked: true) else { return }
            body(made.assumingMemoryBound(to: New.self), numbers)
        }
    }

    private func loadBuilder() {
        if builderIsLoaded { return }
        builder.load(map.properties.indices.map { column($0) })
        builderIsLoaded = true
    }
}

/// Computes one property of new elements.
protocol PropertyComputer: AnyObject {
    /// Forgets the values of the previous batch.
    func clear()
    /// Computes the property for some rows, from the values in `column`; `failed` gets the number of each row
    /// for which that throws.
    func compute(
        _ column: kj_column, _ rows: ArraySlice<Int32>, failed: (Int, any Error) -> Void)
    /// The computed values, by row.
    var column: kj_column { get }
}

/// Computes a property with a closure of the view.
final class ComputedProperty<Old, New>: PropertyComputer {
    private let old: StructLayout.Slot
    private let new: StructLayout.Slot
    private let loop: ElementLoop<Old, New>
    private let computed: ComputedColumn
    private var sink = ElementSink<New>()
    private let values = UnsafeMutablePointer<Old>.allocate(capacity: structsAtOnce)

    /// - Parameters:
    ///   - old: The type of the old property; its offset in the struct is not used.
    ///   - new: The type of the new property.
    init(
        _ old: StructLayout.Slot, _ new: StructLayout.Slot, _ loop: @escaping ElementLoop<Old, New>
    ) {
        self.old = old
        self.new = new
        self.loop = loop
        computed = ComputedColumn(kind: new.kind)
    }

    deinit {
        values.deallocate()
        sink.deallocate()
    }

    func clear() { computed.clear() }
    var column: kj_column { computed.column }

    func compute(
        _ column: kj_column, _ rows: ArraySlice<Int32>, failed: (Int, any Error) -> Void
    ) {
        rows.forChunks(of: structsAtOnce) { chunk, numbers in
            old.put(column, chunk, from: values, stride: MemoryLayout<Old>.stride)
            loop(values, numbers, nil, &sink)
            for index in 0..<sink.count {
                let row = Int(chunk[Int(sink.origins[index]) - numbers.lowerBound])
                computed.set(row, new, UnsafeRawPointer(sink.elements + index))
            }
            sink.truncate(to: 0)
            for (number, error) in sink.failures { failed(number, error) }
            sink.failures.removeAll()
        }
    }
}
