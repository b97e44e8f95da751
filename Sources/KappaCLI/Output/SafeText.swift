/// Makes text from data harmless for a terminal: characters that move the cursor or change colours, titles or
/// the order of letters become `\u{FFFD}`.
///
/// These are C0 (with ESC), DEL, C1 (U+0080 to U+009F, which terminals take for ESC sequences), the
/// controls of writing direction, which make text look like other text, and the line separators of
/// Unicode. A `String` already has this replacement for bytes that are not UTF-8.
enum SafeText {
    /// Data inside of a line: newlines and tabs are replaced, too.
    static func line(_ text: String) -> String { safe(text, keepsLines: false) }

    /// Text of several lines: newlines and tabs stay.
    static func lines(_ text: String) -> String { safe(text, keepsLines: true) }

    /// Text of several lines, from bytes.
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
