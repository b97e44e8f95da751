import Testing

@testable import KappaCore

@Suite("Cells as text")
struct ValueTextTests {
    @Test(
        "a CSV field is quoted if necessary, and each quote in it is doubled",
        arguments: [
            ("plain", "plain"), ("a,b", "\"a,b\""), ("a\nb", "\"a\nb\""), ("a\r\nb", "\"a\r\nb\""),
            ("\"", "\"\"\"\""), ("a\"\"b", "\"a\"\"\"\"b\""), ("", ""),
            // A quote with a combining accent.
            ("a\"\u{301}b", "\"a\"\"\u{301}b\""), ("\"\u{200D}", "\"\"\"\u{200D}\""),
        ])
    func csv(text: String, field: String) {
        #expect(Array(Value.text(text).csvText.utf8) == Array(field.utf8))
    }
}
