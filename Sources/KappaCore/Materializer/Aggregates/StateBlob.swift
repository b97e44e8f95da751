/// Writes the state that a row's columns do not tell, for its hidden blob. Little-endian.
struct StateWriter {
    private(set) var bytes: [UInt8] = []

    mutating func write(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func write(text: String) {
        write(UInt64(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }

    mutating func write(_ value: Value) {
        switch value {
        case .null: write(UInt8(0))
        case .bool(let bool):
            write(UInt8(1))
            write(UInt8(bool ? 1 : 0))
        case .integer(let integer):
            write(UInt8(2))
            write(integer)
        case .double(let double):
            write(UInt8(3))
            write(double.bitPattern)
        case .decimal(let decimal):
            write(UInt8(4))
            write(decimal.mantissa)
            write(UInt8(decimal.scale))
        case .text(let text):
            write(UInt8(5))
            write(text: text)
        case .timestamp(let time):
            write(UInt8(6))
            write(time.microseconds)
        case .json(let text):
            write(UInt8(7))
            write(text: text)
        }
    }
}

/// Reads what a ``StateWriter`` wrote. Bytes come from disk: whatever they hold, it throws at worst.
struct StateReader {
    private let bytes: UnsafeRawBufferPointer
    private var at = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    private func damage() -> KappaError { Self.damage("it ends at byte \(bytes.count)") }

    static func damage(_ reason: String) -> KappaError {
        KappaError(
            .damaged, "a row's state cannot be read", because: reason,
            advice: "Drop the version and rebuild it: everything in it comes from the log")
    }

    private mutating func read<I: FixedWidthInteger>(_ type: I.Type) throws(KappaError) -> I {
        let size = MemoryLayout<I>.size
        guard bytes.count - at >= size else { throw damage() }
        defer { at += size }
        return I(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: I.self))
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
        defer { at += Int(count) }
        return String(decoding: bytes[at..<at + Int(count)], as: UTF8.self)
    }

    mutating func readValue() throws(KappaError) -> Value {
        switch try read(UInt8.self) {
        case 0: return .null
        case 1: return .bool(try read(UInt8.self) != 0)
        case 2: return .integer(try readInteger())
        case 3: return .double(Double(bitPattern: try read(UInt64.self)))
        case 4:
            let mantissa = try readMantissa()
            let scale = Int(try read(UInt8.self))
            guard scale <= Decimal.maximumScale else { throw damage() }
            return .decimal(Decimal(mantissa: mantissa, scale: scale))
        case 5: return .text(try readText())
        case 6: return .timestamp(Timestamp(microseconds: try readInteger()))
        case 7: return .json(try readText())
        default: throw damage()
        }
    }
}
