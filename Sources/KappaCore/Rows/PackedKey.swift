import Glibc

/// The key of a row as bytes that `memcmp` orders as the store orders keys: integers by value, texts by
/// their bytes.
///
/// An integer is its eight bytes, the highest first, with the sign bit inverted. A text is its bytes, each
/// zero byte followed by 0xFF, and two zeros at the end. So no key is a prefix of another one, and the first
/// byte in which two keys differ decides their order.
final class PackedKey {
    /// The column of each part of the key, and whether it is a text.
    private let columns: [(column: Int, isText: Bool)]
    private var memory = UnsafeMutableRawPointer.allocate(byteCount: leastBytes, alignment: 8)
    private var capacity = leastBytes
    private var count = 0

    private static let leastBytes = 64

    init(_ schema: TableSchema) {
        columns = schema.keyColumns.map { column in
            (column, [.text, .json].contains(schema.columns[column].kind))
        }
    }

    deinit { memory.deallocate() }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: memory, count: count) }

    func isBefore(_ other: PackedKey) -> Bool { ByteOrder.compare(bytes, other.bytes) < 0 }

    /// The beginning of a key.
    struct Start {
        /// Its first 16 bytes as a number that is ordered as keys are.
        var word: UInt128 = 0
        /// Whether the word is the whole key, so that no other key has the same word.
        var isWhole = false
    }

    /// The key's first 16 bytes; a shorter key is padded with zeros.
    var start: Start {
        let high = memory.bigEndian(UInt64.self)
        let low = memory.bigEndian(UInt64.self, at: 8)
        var word = UInt128(high) << 64 | UInt128(low)
        if count < 16 { word &= UInt128.max << UInt128(8 * (16 - count)) }
        return Start(word: word, isWhole: count <= 16)
    }

    // MARK: Setting

    func set(_ other: PackedKey) {
        count = 0
        reserve(other.count)
        memory.copyMemory(from: other.memory, byteCount: other.count)
        count = other.count
    }

    /// Takes the key of a cursor's current row.
    func set(_ row: RecordCursor) {
        begin()
        for (column, isText) in columns {
            if isText { add(row.text(column)) } else { add(row.integer(column)) }
        }
    }

    /// Begins a key whose parts are added one by one.
    func begin() { count = 0 }

    func add(_ integer: Int64) {
        reserve(8)
        memory.store(bigEndian: ByteOrder.word(integer), at: count)
        count += 8
    }

    func add(_ text: UnsafeRawBufferPointer) {
        reserve(2 * text.count + 2)
        if let source = text.baseAddress {
            if memchr(source, 0, text.count) == nil {
                (memory + count).copyMemory(from: source, byteCount: text.count)
                count += text.count
            } else {
                for byte in text {
                    put(byte)
                    if byte == 0 { put(0xFF) }
                }
            }
        }
        put(0)
        put(0)
    }

    private func put(_ byte: UInt8) {
        memory.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
        count += 1
    }

    /// Makes room for `size` more bytes.
    private func reserve(_ size: Int) {
        guard count + size > capacity else { return }
        capacity = max(count + size, 2 * capacity)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 8)
        larger.copyMemory(from: memory, byteCount: count)
        memory.deallocate()
        memory = larger
    }

    // MARK: Saving and loading

    /// Writes each part in the form that it has in other states; an empty part for each if there is no key.
    func save(to state: inout StateWriter) {
        var at = 0
        for (_, isText) in columns {
            if count == 0 {
                state.write(short: 0)
            } else if isText {
                let text = text(&at)
                text.withUnsafeBytes { state.write(text: $0) }
            } else {
                state.write(short: 8)
                state.write(ByteOrder.integer(memory.bigEndian(UInt64.self, at: at)))
                at += 8
            }
        }
    }

    func load(from state: inout StateReader) throws(KappaError) {
        begin()
        var isKey = true
        for (_, isText) in columns {
            let part = try state.readBytes()
            if isText {
                add(part)
            } else if part.count == 8 {
                add(part.number(Int64.self, at: 0))
            } else if part.isEmpty {
                isKey = false
            } else {
                throw StateReader.damage("a number of a key has \(part.count) bytes")
            }
        }
        if !isKey { begin() }
    }

    /// The text that begins at `at`. Moves `at` past it.
    private func text(_ at: inout Int) -> [UInt8] {
        var text: [UInt8] = []
        while at + 1 < count {
            let byte = memory.load(fromByteOffset: at, as: UInt8.self)
            let next = memory.load(fromByteOffset: at + 1, as: UInt8.self)
            at += byte == 0 ? 2 : 1
            if byte == 0, next == 0 { break }
            text.append(byte)
        }
        return text
    }
}
