/// Text for people in kappa's colours: the only text whose escape sequences reach a terminal.
///
/// Interpolated values are data and go through ``SafeText``, so they cannot contain an escape sequence.
struct StyledText: ExpressibleByStringInterpolation {
    /// Safe text with kappa's own escape sequences.
    private(set) var text: String

    init(stringLiteral text: String) { self.text = SafeText.lines(text) }
    init(stringInterpolation: StringInterpolation) { text = stringInterpolation.text }

    private init(safe text: String) { self.text = text }

    enum Style: Int {
        case bold = 1
        case red = 31
        case green = 32
        case yellow = 33
    }

    /// The text in a style, if standard output takes colours.
    func styled(_ style: Style) -> StyledText {
        guard Output.usesColour else { return self }
        return StyledText(safe: "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m")
    }

    struct StringInterpolation: StringInterpolationProtocol {
        fileprivate var text = ""

        init(literalCapacity: Int, interpolationCount: Int) {
            text.reserveCapacity(literalCapacity + 16 * interpolationCount)
        }
        mutating func appendLiteral(_ literal: String) { text += SafeText.lines(literal) }
        mutating func appendInterpolation(_ styled: StyledText) { text += styled.text }
        mutating func appendInterpolation(_ data: String) { text += SafeText.line(data) }
        mutating func appendInterpolation(_ data: some CustomStringConvertible) {
            text += SafeText.line(data.description)
        }
    }
}

extension [StyledText] {
    func joined(separator: String) -> StyledText {
        var result: StyledText = ""
        for (index, part) in enumerated() {
            result = index == 0 ? part : "\(result)\(separator)\(part)"
        }
        return result
    }
}
