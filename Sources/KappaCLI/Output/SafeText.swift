/// Text out of data, made harmless for a terminal: what moves the cursor, changes colours, titles or
/// the order of letters becomes `\u{FFFD}`.
///
/// These are C0 (with ESC), DEL, C1 (U+0080 to U+009F, which terminals take for ESC sequences), the
/// controls of writing direction, which make text look like other text, and the line separators of
/// Unicode. Bytes that are no UTF-8 are such replacements already in a `String`.
enum SafeText {
    /// Data inside of a line: no newline and no tab stays.
    static func line(_ text: String) -> String { safe(text, keepsLines: false) }

    /// Text of several lines: newlines and tabs stay.
    static func lines(_ text: String) -> String { safe(text, keepsLines: true) }

    /// Several lines out of bytes.
    static func lines(_ bytes: UnsafeRawBufferPointer) -> String {
        lines(String(decoding: bytes, as: UTF8.self))
    }

    private static func safe(_ text: String, keepsLines: Bool) -> String {
        let scalars = text.unicodeScalars
        guard scalars.contains(where: { isUnsafe($0, keepsLines) }) else { return text }
        var safe = String.UnicodeScalarView()
        safe.append(contentsOf: scalars.lazy.map { isUnsafe($0, keepsLines) ? "\u{FFFD}" : $0 })
        return String(safe)
    }

    private static func isUnsafe(_ scalar: Unicode.Scalar, _ keepsLines: Bool) -> Bool {
        switch scalar.value {
        case 0x20...0x7E: false
        case 0x09, 0x0A: !keepsLines
        case 0x00..<0x20, 0x7F...0x9F, 0x202A...0x202E, 0x2066...0x2069, 0x2028, 0x2029: true
        default: false
        }
    }
}
