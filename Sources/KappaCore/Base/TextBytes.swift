/// kappa's one rule for text: two texts are equal where their bytes are, and are ordered by them, as in
/// the log, in keys, and in SQL. Swift's own `==` and `<` also take texts for equal that only look alike
/// ("é" is one scalar or two), so no text out of data may be compared by them.
extension StringProtocol {
    /// Whether another text has the same bytes.
    package func hasSameBytes(as other: some StringProtocol) -> Bool {
        utf8.elementsEqual(other.utf8)
    }

    /// Whether it stands before another text in the order of their bytes.
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
