// Numbers as files store them: little-endian in kappa's own, big-endian in SQLite's.

extension UnsafeRawBufferPointer {
    /// The little-endian number at a place, which need not be aligned.
    @inline(__always)
    func number<I: FixedWidthInteger & BitwiseCopyable>(_ type: I.Type, at place: Int) -> I {
        I(littleEndian: loadUnaligned(fromByteOffset: place, as: type))
    }
}

extension UnsafeMutableRawPointer {
    /// Stores a little-endian number.
    @inline(__always)
    func store<I: FixedWidthInteger & BitwiseCopyable>(_ number: I, at place: Int = 0) {
        storeBytes(of: number.littleEndian, toByteOffset: place, as: I.self)
    }

    /// Stores a big-endian number.
    @inline(__always)
    func store<I: FixedWidthInteger & BitwiseCopyable>(bigEndian number: I, at place: Int = 0) {
        storeBytes(of: number.bigEndian, toByteOffset: place, as: I.self)
    }

    /// The little-endian number at a place.
    @inline(__always)
    func number<I: FixedWidthInteger & BitwiseCopyable>(_ type: I.Type, at place: Int = 0) -> I {
        I(littleEndian: loadUnaligned(fromByteOffset: place, as: type))
    }

    /// The big-endian number at a place.
    @inline(__always)
    func bigEndian<I: FixedWidthInteger & BitwiseCopyable>(_ type: I.Type, at place: Int = 0) -> I {
        I(bigEndian: loadUnaligned(fromByteOffset: place, as: type))
    }
}

extension [UInt8] {
    /// Appends a little-endian number.
    @inline(__always)
    mutating func append(number: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
    }

    /// Appends a big-endian number.
    mutating func append(bigEndian number: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: number.bigEndian) { append(contentsOf: $0) }
    }
}

/// A hash that is the same in every process and release: 64-bit FNV-1a. It need not resist attackers: it
/// distinguishes definitions, contents of side tables, and programs.
struct StableHash {
    private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

    mutating func add(_ bytes: some Sequence<UInt8>) { for byte in bytes { add(UInt64(byte)) } }

    mutating func add(_ word: UInt64) { value = (value ^ word) &* 0x100_0000_01b3 }

    /// In hexadecimal, without leading zeros.
    var digits: String { String(value, radix: 16) }
}
