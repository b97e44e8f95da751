/// The rows of a table by the groups of a further step, without their type.
package protocol DerivedInput: AnyObject {
    /// Takes in what the row under a key is now; nil where it is gone.
    func set(_ key: PackedKey, _ row: (any RowCursor)?) throws
    /// The groups whose rows have changed, in the order of their keys, and forgets that they have.
    func takeChangedGroups() -> [PackedKey]
    /// The cells of a group's key.
    func keyCells(_ group: PackedKey) -> [Value]
    /// What the group's rows make; nil where it has none.
    func output(_ group: PackedKey, _ body: (DerivedOutput) throws -> Void) throws
    /// The rows that are in memory.
    var count: Int { get }
}

/// What a group of rows makes.
package enum DerivedOutput {
    case nothing
    /// The cells of each row, without the group's key.
    case rows([[Value]])
    /// What aggregates take of `count` rows.
    case columns(AggregateInputs)
}

/// The inputs of aggregates over a group's rows. Valid during the call that gets it.
package struct AggregateInputs {
    let columns: [AggregateColumns]
    let count: Int
}

final class DerivedGroups<Element>: DerivedInput {
    private struct Group {
        let cells: [Value]
        var rows: [PackedKey: Element] = [:]
    }

    private let maker: RowMaker<Element>
    private let keys: [GroupKey<Element>]
    private let make: ([Element], (DerivedOutput) throws -> Void) throws -> Void
    private var groups: [PackedKey: Group] = [:]
    /// The group in which each row is.
    private var groupOfRow: [PackedKey: PackedKey] = [:]
    private var changed: Set<PackedKey> = []

    init(
        _ maker: RowMaker<Element>, _ keys: [GroupKey<Element>],
        _ make: @escaping ([Element], (DerivedOutput) throws -> Void) throws -> Void
    ) {
        self.maker = maker
        self.keys = keys
        self.make = make
    }

    func set(_ key: PackedKey, _ row: (any RowCursor)?) throws {
        if let old = groupOfRow.removeValue(forKey: key) {
            groups[old]?.rows.removeValue(forKey: key)
            changed.insert(old)
        }
        guard let row, let element = try maker.make(row) else { return }
        let cells = try keys.map { try $0.expression.evaluate(element) }
        var group = PackedKey()
        for cell in cells { group.append(cell) }
        groups[group, default: Group(cells: cells)].rows[key] = element
        groupOfRow[key] = group
        changed.insert(group)
    }

    func takeChangedGroups() -> [PackedKey] {
        defer { changed.removeAll(keepingCapacity: true) }
        return changed.sorted()
    }

    func keyCells(_ group: PackedKey) -> [Value] { groups[group]?.cells ?? [] }

    func output(_ group: PackedKey, _ body: (DerivedOutput) throws -> Void) throws {
        guard let rows = groups[group]?.rows, !rows.isEmpty else {
            groups.removeValue(forKey: group)
            return try body(.nothing)
        }
        let ordered = rows.sorted { $0.key < $1.key }.map(\.value)
        try make(ordered, body)
    }

    var count: Int { groupOfRow.count }
}

/// A key as bytes that are ordered as the key's cells are.
package struct PackedKey: Hashable, Comparable, Sendable {
    private var bytes: [UInt8] = []

    package init() {}

    package mutating func append(_ cell: Value) {
        switch cell {
        case .integer(let value): append(value)
        case .timestamp(let time): append(time.microseconds)
        case .bool(let bool): append(bool ? 1 : 0)
        case .text(var text), .json(var text):
            text.withUTF8 { append(text: UnsafeRawBufferPointer($0)) }
        // Keys are never of these.
        case .null, .double, .decimal: bytes.append(0)
        }
    }

    package mutating func append(_ value: Int64) {
        let ordered = UInt64(bitPattern: value) ^ (1 << 63)
        for shift in stride(from: 56, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: ordered >> UInt64(shift)))
        }
    }

    /// A text ends with two zeros; a zero inside of it is followed by 255.
    package mutating func append(text: UnsafeRawBufferPointer) {
        for byte in text {
            bytes.append(byte)
            if byte == 0 { bytes.append(255) }
        }
        bytes.append(0)
        bytes.append(0)
    }

    package static func < (a: PackedKey, b: PackedKey) -> Bool {
        a.bytes.lexicographicallyPrecedes(b.bytes)
    }
}
