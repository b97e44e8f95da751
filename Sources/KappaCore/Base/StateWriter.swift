/// Writes the part of a row's state that its columns do not hold, for the row's hidden blob.
/// Little-endian.
struct StateWriter {
    private(set) var bytes: [UInt8] = []

    mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    mutating func write(_ value: some FixedWidthInteger) {
        bytes.append(number: value)
    }

    mutating func write(text: String) {
        write(UInt64(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }

    mutating func write(text: UnsafeRawBufferPointer) {
        write(short: UInt64(text.count))
        bytes.append(contentsOf: text)
    }

    /// Seven bits in each byte, the lowest first; the last byte has no high bit (LEB128).
    mutating func write(short value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    /// Integers in ascending order, each as its difference from the one before; the first as its
    /// difference from `Int64.min`.
    mutating func write(ascending values: some Sequence<Int64>) {
        var last = Int64.min
        for value in values {
            write(short: UInt64(bitPattern: value &- last))
            last = value
        }
    }
}

extension [UInt8] {
    /// Reads bytes that a ``StateWriter`` wrote.
    func reading(
        _ body: (inout StateReader) throws(KappaError) -> Void
    ) throws(KappaError) {
        var failure: KappaError?
        withUnsafeBytes { bytes in
            var reader = StateReader(bytes)
            do throws(KappaError) { try body(&reader) } catch { failure = error }
        }
        if let failure { throw failure }
    }
}

/// Reads what a ``StateWriter`` wrote. The bytes come from disk, so whatever they hold, reading them at
/// worst throws.
struct StateReader {
    private let bytes: UnsafeRawBufferPointer
    private var at = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var isAtEnd: Bool { at == bytes.count }

    private func damage() -> KappaError { Self.damage("it ends at byte \(bytes.count)") }

    static func damage(_ reason: String) -> KappaError {
        KappaError(
            .damaged, "a row's state cannot be read", because: reason,
            advice: "Drop the version and rebuild it: everything in it comes from the log")
    }

    private mutating func read<I: FixedWidthInteger & BitwiseCopyable>(
        _ type: I.Type
    ) throws(KappaError) -> I {
        let size = MemoryLayout<I>.size
        guard bytes.count - at >= size else { throw damage() }
        defer { at += size }
        return bytes.number(type, at: at)
    }

    mutating func readInteger() throws(KappaError) -> Int64 { try read(Int64.self) }
    /// A number of things that follow.
    mutating func readCount() throws(KappaError) -> Int64 {
        let count = try readInteger()
        guard count >= 0 else { throw Self.damage("it counts \(count) values") }
        return count
    }
    mutating func readMantissa() throws(KappaError) -> Int128 { try read(Int128.self) }
    mutating func readByte() throws(KappaError) -> UInt8 { try read(UInt8.self) }
    mutating func readWord() throws(KappaError) -> UInt32 { try read(UInt32.self) }

    mutating func readText() throws(KappaError) -> String {
        let count = try readInteger()
        guard count >= 0, count <= bytes.count - at else { throw damage() }
        return try readText(ofBytes: Int(count))
    }

    mutating func readText(ofBytes count: Int) throws(KappaError) -> String {
        guard count <= bytes.count - at else { throw damage() }
        defer { at += count }
        guard let text = String(validating: bytes[at..<at + count], as: UTF8.self) else {
            throw Self.damage("a text is not UTF-8")
        }
        return text
    }

    /// A text that `write(text:)` wrote; valid as long as the blob is.
    mutating func readBytes() throws(KappaError) -> UnsafeRawBufferPointer {
        let count = try readShort()
        guard count <= UInt64(bytes.count - at) else { throw damage() }
        defer { at += Int(count) }
        return UnsafeRawBufferPointer(rebasing: bytes[at..<at + Int(count)])
    }

    mutating func readShort() throws(KappaError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            let byte = try read(UInt8.self)
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw Self.damage("a number has no end")
    }

    /// The next of some ascending integers. `last` is the one read before it, `Int64.min` for the first.
    mutating func readInteger(above last: Int64) throws(KappaError) -> Int64 {
        let step = try readShort()
        let value = last &+ Int64(bitPattern: step)
        guard value >= last else { throw Self.damage("its values are not in order") }
        return value
    }

    /// A number of things that follow, each at least one byte long.
    mutating func readShortCount() throws(KappaError) -> Int {
        let count = try readShort()
        guard count <= UInt64(bytes.count - at) else { throw damage() }
        return Int(count)
    }
}
