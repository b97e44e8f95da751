/// A hash that is the same in every process and release: 64-bit FNV-1a. What it tells apart is nobody's
/// attack: definitions, contents of side tables, programs.
struct StableHash {
    private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

    mutating func add(_ bytes: some Sequence<UInt8>) { for byte in bytes { add(UInt64(byte)) } }

    mutating func add(_ word: UInt64) { value = (value ^ word) &* 0x100_0000_01b3 }

    /// In hexadecimal digits, as many as it takes.
    var digits: String { String(value, radix: 16) }
}
