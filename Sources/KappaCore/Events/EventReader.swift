import CKappaJSON
import Glibc

/// Finds the events of one type in a batch and decodes them.
final class EventReader<E: Event> {
    let shape: EventShape
    /// The plan's column for each field of the shape.
    let fieldColumns: [Int]
    /// The columns that decide whether an event is taken, if the columns alone decide it.
    let required: [RequiredColumn]
    private let typeColumn: Int
    private let decoder: ColumnDecoder
    /// Makes structs whose memory layout is known; the decoder makes all others.
    private let builder: StructBuilder<E>?
    let tracer: FieldTracer<E>
    private let upcasters: [(oldType: String?, decoder: ColumnDecoder, lift: Upcaster<E>)]
    private var batch: EventBatch?
    private let decoded = UnsafeMutablePointer<E>.allocate(capacity: 1)

    /// - Parameter clocks: Finds the time zone that an event type names.
    init(
        plan: ExtractionPlan, clocks: (String) throws(KappaError) -> LocalClock
    ) throws(KappaError) {
        let shape = try EventShape(ofEvent: E.self)
        let times = try TimeRules(E.self, clocks)
        let tracer = FieldTracer<E>(shape)
        self.shape = shape
        self.tracer = tracer
        fieldColumns = shape.fields.map { plan.column(of: $0, times) }
        typeColumn = plan.typeColumn(E.eventTypeField)
        required = RequiredColumn.all(of: shape, fieldColumns, plan)
        decoder = ColumnDecoder(shape: shape, plan: plan, times: times)
        var upcasters: [(String?, ColumnDecoder, Upcaster<E>)] = []
        for upcaster in E.upcasters {
            upcasters.append(
                (upcaster.oldEventType, try upcaster.decoder(plan, clocks), upcaster))
        }
        self.upcasters = upcasters
        let layout =
            upcasters.isEmpty && !EventReaderOptions.forbidLayouts
            ? StructLayout(shape, tracer) : nil
        let (columns, required) = (fieldColumns, required)
        builder = layout.map { StructBuilder($0, fieldColumns: columns, required: required) }
    }

    deinit { decoded.deallocate() }

    /// Whether structs are made directly in memory, from columns alone.
    var hasLayout: Bool { builder != nil }
    /// Whether the columns alone decide which events are taken: see ``EventShape/isPlain``.
    var isPlain: Bool { shape.isPlain && upcasters.isEmpty }

    func load(_ batch: EventBatch) {
        // An overflow left by earlier arithmetic on this thread does not belong to these events.
        DecimalOverflow.clear()
        self.batch = batch
        decoder.load(batch)
        builder?.load(batch)
        for upcaster in upcasters { upcaster.decoder.load(batch) }
    }

    /// Appends the indices of the events in `range` that are of this type.
    func select(_ range: Range<Int>, into selection: inout [Int32]) {
        guard let batch else { return }
        let known = selection.count
        select(range, of: batch, into: &selection)
        if batch.withheld.isEmpty { return }
        let taken = selection[known...].filter { !batch.withheld.contains($0) }
        selection.replaceSubrange(known..., with: taken)
    }

    private func select(
        _ range: Range<Int>, of batch: EventBatch, into selection: inout [Int32]
    ) {
        let types = batch.columns[typeColumn]
        guard upcasters.isEmpty else {
            for row in range where isOfAnyType(types, row) { selection.append(Int32(row)) }
            return
        }
        guard let name = E.eventType else {
            if batch.isEmpty(typeColumn) {
                selection += range.lazy.map { Int32(truncatingIfNeeded: $0) }
                return
            }
            for row in range where Self.hasNoType(types, row) { selection.append(Int32(row)) }
            return
        }
        name.utf8CString.withUnsafeBufferPointer { name in
            let name = UnsafeBufferPointer(rebasing: name.dropLast())
            Self.select(range, types, name, into: &selection)
        }
    }

    /// Most of the log's events pass here for each type of each view. So no event costs an unpredictable
    /// branch, except those of another type with the same hash.
    private static func select(
        _ range: Range<Int>, _ types: kj_column, _ name: UnsafeBufferPointer<CChar>,
        into selection: inout [Int32]
    ) {
        let hash = kj_hash(name.baseAddress, name.count)
        let known = selection.count
        selection.append(contentsOf: repeatElement(0, count: range.count))
        var end = known
        selection.withUnsafeMutableBufferPointer { selection in
            for row in range {
                let text = types.strings[row]
                let isLikely =
                    types.states[row] == UInt8(KJ_VALUE.rawValue) && text.hash == hash
                    && text.length == UInt32(name.count)
                selection[end] = Int32(truncatingIfNeeded: row)
                end &+= isLikely && isEqual(text.buffer, name) ? 1 : 0
            }
        }
        selection.removeLast(selection.count - end)
    }

    /// Whether two texts with the same length and hash are equal.
    @inline(__always)
    private static func isEqual(
        _ text: UnsafeRawBufferPointer, _ name: UnsafeBufferPointer<CChar>
    ) -> Bool {
        // The hash determines a text of up to four bytes.
        guard name.count > 4, let a = text.baseAddress, let b = name.baseAddress else {
            return true
        }
        return ByteOrder.isSame(a, b, count: name.count)
    }

    private static func hasNoType(_ types: kj_column, _ row: Int) -> Bool {
        types.states[row] == UInt8(KJ_MISSING.rawValue)
            || types.states[row] == UInt8(KJ_NULL.rawValue)
    }

    private static func isOfType(_ type: String?, _ types: kj_column, _ row: Int) -> Bool {
        guard let type else { return hasNoType(types, row) }
        return types.states[row] == UInt8(KJ_VALUE.rawValue)
            && types.strings[row].buffer.elementsEqual(type.utf8)
    }

    private func isOfAnyType(_ types: kj_column, _ row: Int) -> Bool {
        Self.isOfType(E.eventType, types, row)
            || upcasters.contains { Self.isOfType($0.oldType, types, row) }
    }

    /// Decodes a selected event of the loaded batch; it is valid while `body` runs.
    /// - Parameter isChecked: Whether its ``required`` columns are known to hold what they must.
    func with(
        _ row: Int, isChecked: Bool = false, _ body: (UnsafePointer<E>) throws -> Void
    ) throws {
        if let builder { return try builder.with(row, isChecked: isChecked, body) }
        let event = try decode(row)
        try withUnsafePointer(to: event, body)
    }

    /// Decodes a selected event. The caller moves it out of its memory, which is used again for the next.
    func make(_ row: Int, isChecked: Bool = false) throws -> UnsafeMutablePointer<E> {
        if let builder { return try builder.make(row, isChecked: isChecked) }
        decoded.initialize(to: try decode(row))
        return decoded
    }

    /// Decodes some selected events, at most ``structsAtOnce``, one after another in memory; the caller moves
    /// each out of it. Nil if they have to be decoded one by one.
    /// - Parameter areChecked: Whether their ``required`` columns are known to hold what they must.
    func make(
        _ rows: UnsafeBufferPointer<Int32>, areChecked: Bool = false
    ) -> UnsafeMutableRawPointer? {
        builder?.make(rows, areChecked: areChecked)
    }

    /// Decodes a selected event, converting old shapes.
    func decode(_ row: Int) throws -> E {
        if upcasters.isEmpty { return try decoder.decode(E.self, row: row) }
        guard let batch else { preconditionFailure("a batch is loaded before it is decoded") }
        let types = batch.columns[typeColumn]
        var failure: (any Error)?
        if Self.isOfType(E.eventType, types, row) {
            do { return try decoder.decode(E.self, row: row) } catch { failure = error }
        }
        for upcaster in upcasters where Self.isOfType(upcaster.oldType, types, row) {
            do {
                return try upcaster.lift.decodeOld(upcaster.decoder, row)
            } catch {
                failure = failure ?? error
            }
        }
        throw failure ?? FieldFailure(description: "no shape of \(E.self) fits")
    }
}

/// Lets tests compare the two ways to make a struct.
package enum EventReaderOptions {
    @TaskLocal package static var forbidLayouts = false
}

/// A column that decides whether an event can be taken.
struct RequiredColumn {
    let column: Int
    let path: [String]
    let isOptional: Bool
    let isDecimal: Bool
    /// What the field must be, for the reason of a dead letter.
    let expected: String

    /// The fields of a shape and the objects that contain them, in the order in which decoding asks for
    /// them.
    static func all(
        of shape: EventShape, _ columns: [Int], _ plan: ExtractionPlan
    ) -> [RequiredColumn] {
        var known: Set<[String]> = []
        var all: [RequiredColumn] = []
        for (field, column) in zip(shape.fields, columns) {
            for depth in field.path.indices.dropLast() {
                let path = Array(field.path[...depth])
                guard known.insert(path).inserted else { continue }
                all.append(
                    RequiredColumn(
                        column: plan.objectColumn(at: path), path: path, isOptional: false,
                        isDecimal: false, expected: "an object"))
            }
            all.append(
                RequiredColumn(
                    column: column, path: field.path, isOptional: field.isOptional,
                    isDecimal: field.kind == .decimal, expected: field.kind.withArticle))
        }
        return all
    }

    /// Whether an event with this value in the column can be taken.
    @inline(__always)
    func isGood(_ column: kj_column, _ row: Int) -> Bool {
        switch kj_state(UInt32(column.states[row])) {
        case KJ_VALUE:
            !isDecimal || column.scales[row] != UInt8(KJ_WIDE) || column.decimal(row) != nil
        case KJ_MISSING, KJ_NULL: isOptional
        default: false
        }
    }

    func failure(_ column: kj_column, _ row: Int) -> FieldFailure {
        .of(path, column, row, expected: expected)
    }
}
