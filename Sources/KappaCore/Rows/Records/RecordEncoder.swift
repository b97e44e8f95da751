/// Encodes the cells of a row as a record of SQLite's file format, the form in which rows are buffered and
/// stored (https://www.sqlite.org/fileformat2.html, section 2.1).
///
/// A record is a header (its own size, then a type for each column), followed by the values. A table
/// `WITHOUT ROWID` has the columns of its key first, whatever the order in which it declares them.
final class RecordEncoder {
    private let count: Int
    /// The place of each column in a record.
    private let places: UnsafeMutablePointer<Int>
    /// By place: the type, and the number's bits or the address of the bytes.
    private let types: UnsafeMutablePointer<UInt64>
    private let words: UnsafeMutablePointer<UInt64>
    /// Texts that were copied, by place.
    private var copies: [ScratchMemory]

    init(_ schema: TableSchema) {
        let order = Self.order(of: schema)
        count = order.count
        (places, types, words) = (
            .allocate(capacity: count), .allocate(capacity: count), .allocate(capacity: count)
        )
        types.initialize(repeating: 0, count: count)
        words.initialize(repeating: 0, count: count)
        copies = (0..<count).map { _ in ScratchMemory() }
        for (place, column) in order.enumerated() { (places + column).initialize(to: place) }
    }

    deinit {
        places.deallocate()
        types.deallocate()
        words.deallocate()
    }

    /// The column at each place of a record; the hidden state counts as the last column.
    static func order(of schema: TableSchema) -> [Int] {
        let columns = schema.columns.count + (schema.hasState ? 1 : 0)
        let keys = schema.keyColumns
        return keys + (0..<columns).filter { !keys.contains($0) }
    }

    // MARK: Cells

    @inline(__always)
    func setNull(_ column: Int) { types[places[column]] = 0 }

    @inline(__always)
    func set(_ column: Int, _ value: Int64) {
        let place = places[column]
        types[place] = RecordType.of(value)
        words[place] = UInt64(bitPattern: value)
    }

    /// SQLite does not keep the sign of a zero, and stores NaN as null.
    @inline(__always)
    func set(_ column: Int, _ value: Double) {
        if value.isNaN { return setNull(column) }
        let place = places[column]
        types[place] = RecordType.double
        words[place] = value.withoutZerosSign.bitPattern
    }

    /// The bytes must stay where they are until the row is written.
    @inline(__always)
    func set(_ column: Int, text: UnsafeRawBufferPointer) {
        set(column, text, RecordType.text(text.count))
    }

    @inline(__always)
    func set(_ column: Int, blob: UnsafeRawBufferPointer) {
        set(column, blob, RecordType.blob(blob.count))
    }

    @inline(__always)
    private func set(_ column: Int, _ bytes: UnsafeRawBufferPointer, _ type: UInt64) {
        let place = places[column]
        types[place] = type
        words[place] = UInt64(UInt(bitPattern: bytes.baseAddress))
    }

    func set(_ column: Int, _ text: String) {
        let copy = copies[places[column]]
        var text = text
        text.withUTF8 { copy.set(UnsafeRawBufferPointer($0)) }
        set(column, text: copy.bytes)
    }

    /// Sets `key` to the row's key; false if a part of that is neither an integer nor a text.
    func set(_ key: PackedKey, parts: Int) -> Bool {
        key.begin()
        for part in 0..<parts {
            switch types[part] {
            case 1...6, 8, 9: key.add(Int64(bitPattern: words[part]))
            case RecordType.firstOfBytes...: key.add(bytes(part))
            default: return false
            }
        }
        return true
    }

    @inline(__always)
    private func bytes(_ place: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: UnsafeRawPointer(bitPattern: UInt(words[place])),
            count: RecordType.size(types[place]))
    }

    // MARK: The record

    /// How many bytes ``write(to:)`` needs: the record's size, and some more.
    var mostBytes: Int {
        var most = 24
        for place in 0..<count { most += 9 + max(8, RecordType.size(types[place])) }
        return most
    }

    /// Writes the record; returns its size.
    @inline(__always)
    func write(to start: UnsafeMutableRawPointer) -> Int {
        var headerSize = 1
        for place in 0..<count { headerSize += Varint.size(types[place]) }
        // The header's size includes itself.
        if headerSize > 127 { headerSize += 1 }
        var at = start
        Varint.write(UInt64(headerSize), to: &at)
        for place in 0..<count { Varint.write(types[place], to: &at) }
        for place in 0..<count {
            let type = types[place]
            let size = RecordType.size(type)
            if type >= RecordType.firstOfBytes {
                if let source = UnsafeRawPointer(bitPattern: UInt(words[place])) {
                    at.copyMemory(from: source, byteCount: size)
                }
            } else if size > 0 {
                // The bytes that count come first, the highest of them foremost. The rest are overwritten.
                let word = (words[place] &<< UInt64(64 &- 8 &* size)).bigEndian
                at.storeBytes(of: word, as: UInt64.self)
            }
            at += size
        }
        return at - start
    }
}

/// The types of a record's values, as its header states them.
enum RecordType {
    static let null: UInt64 = 0
    static let double: UInt64 = 7
    static let firstOfBytes: UInt64 = 12
    static func blob(_ count: Int) -> UInt64 { UInt64(12 &+ 2 &* count) }
    static func text(_ count: Int) -> UInt64 { UInt64(13 &+ 2 &* count) }

    /// An integer takes as few bytes as possible; zero and one take none.
    @inline(__always)
    static func of(_ value: Int64) -> UInt64 {
        if value == 0 { return 8 }
        if value == 1 { return 9 }
        switch 64 - (value < 0 ? ~value : value).leadingZeroBitCount {
        case ...7: return 1
        case ...15: return 2
        case ...23: return 3
        case ...31: return 4
        case ...47: return 5
        default: return 6
        }
    }

    /// How many bytes a value of a type takes.
    @inline(__always)
    static func size(_ type: UInt64) -> Int {
        // The sizes of the types 0 to 11, four bits for each.
        type < firstOfBytes
            ? Int(0x0000_8864_3210 as UInt64 >> (4 &* type) & 0xF) : Int((type &- 12) / 2)
    }
}

/// SQLite's integers of one to nine bytes, seven bits in each; lengths never need the ninth.
enum Varint {
    static let mostBytes = 9

    @inline(__always)
    static func size(_ value: UInt64) -> Int {
        value < 128 ? 1 : (70 - value.leadingZeroBitCount) / 7
    }

    @inline(__always)
    static func write(_ value: UInt64, to at: inout UnsafeMutableRawPointer) {
        var shift = value < 128 ? 0 : UInt64(7 * (size(value) - 1))
        while shift > 0 {
            at.storeBytes(of: UInt8(truncatingIfNeeded: value >> shift) | 0x80, as: UInt8.self)
            at += 1
            shift -= 7
        }
        at.storeBytes(of: UInt8(value & 0x7F), as: UInt8.self)
        at += 1
    }

    /// Reads one before `end`; nil if it does not end before that.
    @inline(__always)
    static func read(_ at: inout UnsafeRawPointer, _ end: UnsafeRawPointer) -> UInt64? {
        var value: UInt64 = 0
        while at < end {
            let byte = at.load(as: UInt8.self)
            at += 1
            value = value << 7 | UInt64(byte & 0x7F)
            if byte < 0x80 { return value }
        }
        return nil
    }
}
