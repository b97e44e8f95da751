import KappaCore

/// Writes the texts and numbers of generated events as bytes.
package enum EventText {
    package static func add(_ text: StaticString, to buffer: inout [UInt8]) {
        buffer.append(
            contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    package static func add(_ number: UInt64, to buffer: inout [UInt8]) {
        var number = number
        var digits: (UInt64, Int) = (0, 0)
        repeat {
            digits.0 = digits.0 << 4 | number % 10
            digits.1 += 1
            number /= 10
        } while number > 0 && digits.1 < 16
        if number > 0 { add(number, to: &buffer) }
        for _ in 0..<digits.1 {
            buffer.append(0x30 + UInt8(digits.0 & 15))
            digits.0 >>= 4
        }
    }
}

/// Writes times in UTC, with three decimal places.
package struct EventClock: Sendable {
    /// The bytes of the last whole second, so that they are not formatted again for each event.
    private var second: (value: Int64, text: [UInt8]) = (.min, [])

    package init() {}

    package mutating func add(millis: Int64, to buffer: inout [UInt8]) {
        var whole = millis / 1_000
        if millis % 1_000 < 0 { whole -= 1 }
        if whole != second.value { second = (whole, Self.text(whole)) }
        buffer += second.text
        let rest = UInt64(millis - whole * 1_000)
        buffer.append(0x30 + UInt8(rest / 100))
        buffer.append(0x30 + UInt8(rest / 10 % 10))
        buffer.append(0x30 + UInt8(rest % 10))
        buffer.append(UInt8(ascii: "Z"))
    }

    private static func text(_ seconds: Int64) -> [UInt8] {
        var text = Array(Timestamp(microseconds: seconds * 1_000_000).description.utf8)
        text[text.count - 1] = UInt8(ascii: ".")
        return text
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same seed gives the same numbers.
package struct EventRandom: Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// A number below `bound`, all of them about equally likely.
    package mutating func below(_ bound: UInt64) -> UInt64 {
        next().multipliedFullWidth(by: bound).high
    }
}
