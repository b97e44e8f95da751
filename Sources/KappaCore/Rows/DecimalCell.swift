/// How a decimal is stored: as an integer where it is one of 64 bits, as a double where it has at
/// most 15 significant digits (which a double keeps exactly), else as text. So SQL compares and
/// sums decimals as numbers, and all digits come back.
package enum DecimalCell {
    enum Cell {
        case integer(Int64)
        case double(Double)
        /// The decimal's own text.
        case text
    }

    /// The one cell that a decimal is stored as: equal decimals have equal cells.
    static func cell(of decimal: ExactDecimal) -> Cell {
        if decimal.scale == 0, let integer = Int64(exactly: decimal.mantissa) {
            return .integer(integer)
        }
        if decimal.mantissa.magnitude < 1_000_000_000_000_000, decimal.scale <= 22 {
            // Both the mantissa and the power of ten are exact doubles: the quotient is the
            // nearest double to the decimal.
            return .double(Double(Int64(decimal.mantissa)) / powersOfTen[decimal.scale])
        }
        return .text
    }

    package static func bind(_ decimal: ExactDecimal, to writer: some RowWriter, at index: Int) {
        switch cell(of: decimal) {
        case .integer(let integer): writer.bind(index, integer)
        case .double(let double): writer.bind(index, double)
        // The writer copies this text: it is gone before the row is written.
        case .text: writer.bind(index, decimal.description)
        }
    }

    package static func read(_ cursor: any RowCursor, _ index: Int) -> ExactDecimal? {
        switch cursor.storage(index) {
        case .integer: ExactDecimal(cursor.integer(index))
        case .double: decimal(of: cursor.double(index))
        case .text: ExactDecimal(bytes: cursor.text(index))
        case .null, .blob: nil
        }
    }

    /// The decimal that a double of up to 15 significant digits stands for.
    package static func decimal(of double: Double) -> ExactDecimal? {
        // Two decimals of up to 15 digits are never the same double: the first that fits is it.
        for scale in 0...4 {
            let mantissa = (double * powersOfTen[scale]).rounded()
            guard abs(mantissa) < 1e15 else { break }
            if mantissa / powersOfTen[scale] == double {
                return ExactDecimal(mantissa: Int128(Int64(mantissa)), scale: scale)
            }
        }
        return ExactDecimal("\(double)")
    }

    private static let powersOfTen: [Double] = {
        var powers = [1.0]
        for _ in 1...22 { powers.append(powers[powers.count - 1] * 10) }
        return powers
    }()
}
