// The one file of KappaCore that knows Foundation, and of that only what JSONEncoder and
// JSONDecoder hand numbers through without rounding them to a double.
public import struct FoundationEssentials.Date
public import struct FoundationEssentials.Decimal

extension ExactDecimal {
    /// Foundation's decimal; nil where it is no number, or needs more than 38 digits.
    public init?(_ decimal: Decimal) {
        guard !decimal.isNaN else { return nil }
        self.init(decimal.description)
    }
}

extension Decimal {
    /// The same number, all digits of it.
    public init(_ decimal: ExactDecimal) {
        // A mantissa of 128 bits and an exponent of 8 hold every decimal, so its text is always
        // one.
        self = Decimal(string: decimal.description) ?? .nan
    }
}

extension Timestamp {
    /// The instant of a date, to the nearest microsecond; dates beyond 64 bits of these become the
    /// nearest instant that there is.
    public init(_ date: Date) {
        let micros = (date.timeIntervalSince1970 * 1_000_000).rounded()
        self.init(microseconds: Int64(exactly: micros) ?? (micros < 0 ? .min : .max))
    }
}

extension Date {
    /// The instant of a timestamp. A date is a double: near the present it is good to a
    /// microsecond.
    public init(_ time: Timestamp) {
        self.init(timeIntervalSince1970: Double(time.microseconds) / 1_000_000)
    }
}

/// A coder of kappa's own, which takes a decimal as it is.
protocol TakesDecimals {}

extension ExactDecimal: Codable {
    /// Decoders that keep a number's text (kappa's do) and Foundation's hand it over exactly;
    /// others give an integer, a double or a text.
    ///
    /// Foundation's `JSONDecoder` itself cuts numbers of more than 38 digits.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if decoder is any TakesDecimals {
            self = try container.decode(ExactDecimal.self)
            return
        }
        var text: String?
        // Foundation's first: JSONDecoder gives an integer for what is one only once it is a
        // double.
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

    /// Writes a number with all digits, in JSON as elsewhere. Encoders that do not know
    /// Foundation's
    /// `Decimal` as a number write what it consists of, and read that back.
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
