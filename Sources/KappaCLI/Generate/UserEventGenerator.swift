/// Generates user events in the shape of the course's producer. The same seed gives the same bytes.
///
/// ```json
/// {"event_id":0,"user_id":"user_42","action":"view","amount":0,"timestamp":"2024-01-15T14:30:00.000Z"}
/// ```
/// There is an event every 10 milliseconds of event time. With disorder, the time of some events is up to
/// that many seconds earlier.
package struct UserEventGenerator: Sendable {
    private var random: EventRandom
    private var clock = EventClock()
    private let users: UInt64
    private let disorderMillis: UInt64
    private var next: UInt64 = 0

    /// 2024-01-15T14:30:00Z in milliseconds since 1970.
    private static let firstMillis: Int64 = 1_705_329_000_000

    package init(seed: UInt64, users: Int = 100, disorderSeconds: Int = 0) {
        random = EventRandom(seed: seed)
        self.users = UInt64(max(1, users))
        disorderMillis = UInt64(max(0, disorderSeconds)) * 1_000
    }

    /// Appends events as lines of JSON.
    package mutating func append(_ count: Int, to buffer: inout [UInt8]) {
        buffer.reserveCapacity(buffer.count + count * 120)
        for _ in 0..<count { append(to: &buffer) }
    }

    private mutating func append(to buffer: inout [UInt8]) {
        EventText.add("{\"event_id\":", to: &buffer)
        EventText.add(next, to: &buffer)
        EventText.add(",\"user_id\":\"user_", to: &buffer)
        EventText.add(random.below(users) + 1, to: &buffer)
        EventText.add("\",\"action\":\"", to: &buffer)
        let die = random.below(100)
        let action: StaticString =
            die < 60 ? "view" : die < 85 ? "click" : die < 95 ? "purchase" : "share"
        EventText.add(action, to: &buffer)
        EventText.add("\",\"amount\":", to: &buffer)
        appendAmount(to: &buffer)
        EventText.add(",\"timestamp\":\"", to: &buffer)
        var millis = Self.firstMillis + Int64(next) * 10
        if disorderMillis > 0, random.below(10) < 3 {
            millis -= Int64(random.below(disorderMillis + 1))
        }
        clock.add(millis: millis, to: &buffer)
        EventText.add("\"}\n", to: &buffer)
        next += 1
    }

    /// Half of the amounts are zero; the others have up to two decimal places.
    private mutating func appendAmount(to buffer: inout [UInt8]) {
        if random.below(2) == 0 { return buffer.append(0x30) }
        let cents = random.below(20_000) + 1
        EventText.add(cents / 100, to: &buffer)
        let rest = cents % 100
        if rest == 0 { return }
        buffer.append(UInt8(ascii: "."))
        buffer.append(0x30 + UInt8(rest / 10))
        if rest % 10 != 0 { buffer.append(0x30 + UInt8(rest % 10)) }
    }
}
