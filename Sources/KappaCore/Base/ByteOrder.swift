import Glibc

/// Compares texts by their bytes, which is the order of texts everywhere in kappa. Integers and pieces
/// of texts also become words with the same order, which a processor compares in one step.
enum ByteOrder {
    /// Negative where `a` sorts before `b`, zero where they are equal, positive where it sorts after.
    @inline(__always)
    static func compare(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
        if let x = a.baseAddress, let y = b.baseAddress {
            let order = memcmp(x, y, min(a.count, b.count))
            if order != 0 { return Int(order) }
        }
        return a.count - b.count
    }

    /// Whether two areas of the same size hold the same bytes. Most texts are short, so this compares
    /// words inline rather than call `memcmp`.
    @inline(__always)
    static func isSame(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, count: Int) -> Bool {
        if count > 16 { return memcmp(a, b, count) == 0 }
        // Two words that overlap cover every length from one word to two.
        if count >= 8 {
            return isSame(a, b, 0, UInt64.self) && isSame(a, b, count &- 8, UInt64.self)
        }
        if count >= 4 {
            return isSame(a, b, 0, UInt32.self) && isSame(a, b, count &- 4, UInt32.self)
        }
        for index in 0..<count where !isSame(a, b, index, UInt8.self) { return false }
        return true
    }

    @inline(__always)
    private static func isSame<T: FixedWidthInteger & BitwiseCopyable>(
        _ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ offset: Int, _ type: T.Type
    ) -> Bool {
        a.loadUnaligned(fromByteOffset: offset, as: type)
            == b.loadUnaligned(fromByteOffset: offset, as: type)
    }

    // MARK: Words

    /// A word that sorts as the integer does: the sign bit is flipped.
    @inline(__always)
    static func word(_ integer: Int64) -> UInt64 { UInt64(bitPattern: integer) ^ (1 << 63) }

    /// The integer of a word.
    @inline(__always)
    static func integer(_ word: UInt64) -> Int64 { Int64(bitPattern: word ^ (1 << 63)) }

    /// Eight bytes of a text, from `start` on, as a word that sorts as they do; zeros past the text's
    /// end.
    @inline(__always)
    static func word(of text: UnsafeRawBufferPointer, from start: Int = 0) -> UInt64 {
        if text.count >= start + 8 {
            return UInt64(
                bigEndian: text.loadUnaligned(fromByteOffset: start, as: UInt64.self))
        }
        var word: UInt64 = 0
        for index in start..<max(start, text.count) {
            word |= UInt64(text[index]) << UInt64(56 - 8 * (index - start))
        }
        return word
    }
}

/// kappa's one rule for text: two texts are equal if their bytes are equal, and are ordered by their
/// bytes, in the log, in keys, and in SQL alike. Swift's own `==` and `<` also treat canonically
/// equivalent texts as equal ("é" may be one scalar or two), so never compare text from data with them.
extension StringProtocol {
    /// Whether another text has the same bytes.
    package func hasSameBytes(as other: some StringProtocol) -> Bool {
        utf8.elementsEqual(other.utf8)
    }

    /// Whether it sorts before another text in the order of their bytes.
    func hasBytesBefore(_ other: some StringProtocol) -> Bool {
        utf8.lexicographicallyPrecedes(other.utf8)
    }
}

extension String {
    /// Hashes the bytes of the text, for types whose texts are equal only where their bytes are.
    func hashBytes(into hasher: inout Hasher) {
        var text = self
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
