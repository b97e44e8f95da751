import KappaCore

/// Makes up user events in the shape of the course's producer. The same seed gives the same bytes.
///
/// ```json
/// {"event_id":0,"user_id":"user_42","action":"view","amount":0,"timestamp":"2024-01-15T14:30:00.000Z"}
/// ```
/// An event comes every 10 milliseconds of event time; with disorder, its time is up to that many
/// seconds earlier.
package struct UserEventGenerator: Sendable {
    private var state: UInt64
    private let users: UInt64
    private let disorderMillis: UInt64
    private var next: UInt64 = 0
    /// The bytes of the last whole second, so that not every time is written anew.
    private var second: (value: Int64, text: [UInt8]) = (.min, [])

    /// 2024-01-15T14:30:00Z in milliseconds since 1970.
    private static let firstMillis: Int64 = 1_705_329_000_000

    package init(seed: UInt64, users: Int = 100, disorderSeconds: Int = 0) {
        state = seed
        self.users = UInt64(max(1, users))
        disorderMillis = UInt64(max(0, disorderSeconds)) * 1_000
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    private mutating func random() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// A number below `bound`, every one about as likely.
    private mutating func random(below bound: UInt64) -> UInt64 {
        random().multipliedFullWidth(by: bound).high
    }

    /// Appends events as lines of JSON.
    package mutating func append(_ count: Int, to buffer: inout [UInt8]) {
        buffer.reserveCapacity(buffer.count + count * 120)
        for _ in 0..<count { append(to: &buffer) }
    }

    private mutating func append(to buffer: inout [UInt8]) {
        Self.add("{\"event_id\":", to: &buffer)
        Self.add(next, to: &buffer)
        Self.add(",\"user_id\":\"user_", to: &buffer)
        Self.add(random(below: users) + 1, to: &buffer)
        Self.add("\",\"action\":\"", to: &buffer)
        let die = random(below: 100)
        let action: StaticString =
            die < 60 ? "view" : die < 85 ? "click" : die < 95 ? "purchase" : "share"
        Self.add(action, to: &buffer)
        Self.add("\",\"amount\":", to: &buffer)
        appendAmount(to: &buffer)
        Self.add(",\"timestamp\":\"", to: &buffer)
        var millis = Self.firstMillis + Int64(next) * 10
        if disorderMillis > 0, random(below: 10) < 3 {
            millis -= Int64(random(below: disorderMillis + 1))
        }
        appendTime(millis, to: &buffer)
        Self.add("\"}\n", to: &buffer)
        next += 1
    }

    /// Half of the amounts are zero, the others have up to two digits behind the point.
    private mutating func appendAmount(to buffer: inout [UInt8]) {
        if random(below: 2) == 0 { return buffer.append(0x30) }
        let cents = random(below: 20_000) + 1
        Self.add(cents / 100, to: &buffer)
        let rest = cents % 100
        if rest == 0 { return }
        buffer.append(UInt8(ascii: "."))
        buffer.append(0x30 + UInt8(rest / 10))
        if rest % 10 != 0 { buffer.append(0x30 + UInt8(rest % 10)) }
    }

    private mutating func appendTime(_ millis: Int64, to buffer: inout [UInt8]) {
        var whole = millis / 1_000
        if millis % 1_000 < 0 { whole -= 1 }
        if whole != second.value {
            second = (whole, Self.text(whole))
        }
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

    private static func add(_ text: StaticString, to buffer: inout [UInt8]) {
        buffer.append(
            contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private static func add(_ number: UInt64, to buffer: inout [UInt8]) {
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
