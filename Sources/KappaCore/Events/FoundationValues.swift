// The only file of KappaCore that imports Foundation, and only two of its types: `Date`, and `Decimal`, which
// JSONEncoder and JSONDecoder pass through without rounding to a double.
public import struct FoundationEssentials.Date
public import struct FoundationEssentials.Decimal

extension ExactDecimal {
    /// Converts Foundation's decimal; nil if it is NaN or needs more than 38 digits.
    public init?(_ decimal: Decimal) {
        guard !decimal.isNaN else { return nil }
        self.init(decimal.description)
    }
}

extension Decimal {
    /// The same number, with all its digits.
    public init(_ decimal: ExactDecimal) {
        // A mantissa of 128 bits and an exponent of 8 bits hold every exact decimal, so its text always
        // parses.
        self = Decimal(string: decimal.description) ?? .nan
    }
}

extension Timestamp {
    /// The instant of a date, to the nearest microsecond. A date beyond the range of 64 bits becomes the
    /// earliest or the latest instant.
    public init(_ date: Date) {
        let micros = (date.timeIntervalSince1970 * 1_000_000).rounded()
        self.init(microseconds: Int64(exactly: micros) ?? (micros < 0 ? .min : .max))
    }
}

extension Date {
    /// The instant of a timestamp. A date is a double, which is accurate to a microsecond near the present.
    public init(_ time: Timestamp) {
        self.init(timeIntervalSince1970: Double(time.microseconds) / 1_000_000)
    }
}

/// An encoder or decoder of kappa's own, which passes a decimal on as it is.
protocol TakesDecimals {}

extension ExactDecimal: Codable {
    /// Reads a number. Decoders that keep a number's text (as kappa's do) and Foundation's pass it on
    /// exactly; others give an integer, a double or a text.
    ///
    /// Foundation's `JSONDecoder` itself truncates numbers of more than 38 digits.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if decoder is any TakesDecimals {
            self = try container.decode(ExactDecimal.self)
            return
        }
        var text: String?
        // Foundation's decimal first: JSONDecoder would give an integer for a number that only becomes
        // whole when it is rounded to a double.
        if let decimal = try? container.decode(Decimal.self) {
            text = decimal.description
        } else if let integer = try? container.decode(Int64.self) {
            text = "\(integer)"
        } else if let double = try? container.decode(Double.self) {
            text = "\(double)"
        }
        let number = try text ?? container.decode(String.self)
        guard let parsed = ExactDecimal(number) else {
            throw DecodingError.dataCorruptedError(
                in: container,
                debugDescription: "\"\(number)\" is not a decimal number of up to 38 digits")
        }
        self = parsed
    }

    /// Writes a number with all its digits, in JSON and elsewhere. Encoders that do not treat Foundation's
    /// `Decimal` as a number write its components, and their decoders read those back.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if encoder is any TakesDecimals {
            try container.encode(self)
        } else if scale == 0, let integer = Int64(exactly: mantissa) {
            try container.encode(integer)
        } else {
            try container.encode(Decimal(self))
        }
    }
}
