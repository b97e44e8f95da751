/// Makes strings of up to 15 ASCII characters out of their bytes, without a call.
///
/// Swift keeps such a string in its own two words: the characters, and a last byte with their count.
/// Every 64-bit system does so, but nothing guarantees it: kappa tests it once, and where the test fails
/// it decodes every string.
struct ShortText {
    /// Code that makes many strings keeps this in a property: to access the global costs as much as to
    /// make a string.
    static let maker = ShortText()

    private let isKnown: Bool

    private init() { isKnown = Self.tryOut() }

    private static func tryOut() -> Bool {
        guard MemoryLayout<String>.size == MemoryLayout<Words>.size else { return false }
        return (0...15).allSatisfy { count in
            let text = "kappa maps a log".prefix(count)
            let decoded = unsafeBitCast(String(decoding: text.utf8, as: UTF8.self), to: Words.self)
            return Array(text.utf8).withUnsafeBytes { bytes in
                guard let start = bytes.baseAddress else { return count == 0 }
                return decoded == words(start, count)
            }
        }
    }

    private typealias Words = (UInt64, UInt64)

    /// The string of some UTF-8 bytes.
    @inline(__always)
    func string(_ bytes: UnsafeRawBufferPointer) -> String {
        if isKnown, bytes.count <= 15, let start = bytes.baseAddress {
            let words = Self.words(start, bytes.count)
            if (words.0 | words.1 & 0x00FF_FFFF_FFFF_FFFF) & 0x8080_8080_8080_8080 == 0 {
                return unsafeBitCast(words, to: String.self)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The two words, without reading a byte past the text. Overlapping loads cover all lengths.
    @inline(__always)
    private static func words(_ text: UnsafeRawPointer, _ count: Int) -> Words {
        var (low, high): Words = (0, UInt64(0xE0 | count) &<< 56)
        if count >= 8 {
            low = load(text, 0, UInt64.self)
            // Two shifts: together they are 64 bits where the text has just eight characters.
            let rest = UInt64(8 &* (15 &- count))
            high |= (load(text, count &- 8, UInt64.self) &>> rest) &>> 8
        } else if count >= 4 {
            low = load(text, 0, UInt32.self)
            low |= load(text, count &- 4, UInt32.self) &<< UInt64(8 &* (count &- 4))
        } else {
            for index in 0..<count {
                low |= load(text, index, UInt8.self) &<< UInt64(8 &* index)
            }
        }
        return (low, high)
    }

    @inline(__always)
    private static func load<T: FixedWidthInteger & BitwiseCopyable>(
        _ text: UnsafeRawPointer, _ offset: Int, _ type: T.Type
    ) -> UInt64 {
        UInt64(truncatingIfNeeded: text.loadUnaligned(fromByteOffset: offset, as: type))
    }
}
