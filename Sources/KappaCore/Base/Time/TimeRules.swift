import CKappaJSON

/// The unit of a number that means a time, counted from 1970-01-01T00:00:00Z.
public enum TimeUnit: Hashable, Sendable {
    /// 10^6, 10^3, 1 and 10^-3 microseconds.
    case seconds, milliseconds, microseconds, nanoseconds
}

/// How the times of an event type are read.
package struct TimeRules: Hashable, Sendable {
    /// What numbers count; nil for milliseconds below 10^14, and microseconds from there on.
    var unit: TimeUnit?
    /// Whether a number without a unit may mean a time before 1990.
    var allowsEarly = false
    /// The time zone of texts that name none; without it they are refused.
    var clock: LocalClock?

    /// For times that kappa itself wrote, which may be of any age.
    package static let written = TimeRules(allowsEarly: true)

    package init(unit: TimeUnit? = nil, allowsEarly: Bool = false, clock: LocalClock? = nil) {
        self.unit = unit
        self.allowsEarly = allowsEarly
        self.clock = clock
    }

    func counting(_ unit: TimeUnit?) -> TimeRules {
        TimeRules(unit: unit, allowsEarly: allowsEarly, clock: clock)
    }

    var cUnit: kj_time_unit {
        switch unit {
        case nil: allowsEarly ? KJ_NO_UNIT_EARLY : KJ_NO_UNIT
        case .seconds: KJ_SECONDS
        case .milliseconds: KJ_MILLISECONDS
        case .microseconds: KJ_MICROSECONDS
        case .nanoseconds: KJ_NANOSECONDS
        }
    }

    /// The time that a JSON string's contents or a number's text means, or the reason why it means none.
    func read(_ text: String, isText: Bool) -> (state: kj_state, time: Timestamp) {
        var text = text
        return text.withUTF8 { read(UnsafeRawBufferPointer($0), isText: isText) }
    }

    func read(_ text: UnsafeRawBufferPointer, isText: Bool) -> (state: kj_state, time: Timestamp) {
        var micros: Int64 = 0
        let state = text.withMemoryRebound(to: CChar.self) {
            kj_read_time($0.baseAddress, $0.count, isText, cUnit, &micros)
        }
        if state == KJ_ZONELESS, let clock { return clock.place(micros) }
        return (state, Timestamp(microseconds: micros))
    }
}

/// The time zone of the local times in events.
package struct LocalClock: Hashable, Sendable {
    let name: String
    /// The digest of the zone's rules, which are an input of a view.
    let rulesDigest: String
    /// The instant of a local time, both in microseconds since 1970.
    private let instant: @Sendable (Int64) -> Int64

    init(name: String, rulesDigest: String, instant: @escaping @Sendable (Int64) -> Int64) {
        self.name = name
        self.rulesDigest = rulesDigest
        self.instant = instant
    }

    /// The instant of a local time, if it lies in the calendar.
    func place(_ local: Int64) -> (state: kj_state, time: Timestamp) {
        let time = Timestamp(microseconds: instant(local))
        return (time.isInCalendar ? KJ_VALUE : KJ_BEYOND, time)
    }

    /// Turns the local times of a column into instants.
    func place(_ column: kj_column, _ count: Int) {
        for row in 0..<count where column.states[row] == UInt8(KJ_ZONELESS.rawValue) {
            let (state, time) = place(column.integers[row])
            column.states[row] = UInt8(state.rawValue)
            column.integers[row] = time.microseconds
        }
    }

    package static func == (a: LocalClock, b: LocalClock) -> Bool {
        a.name == b.name && a.rulesDigest == b.rulesDigest
    }
    package func hash(into hasher: inout Hasher) { hasher.combine(name) }
}

extension TimeZoneDatabase {
    /// The clock that converts a zone's local times to instants; see
    /// ``TimeZoneRules/instant(ofLocal:)``.
    /// - Throws: `.usage` where there is no such zone.
    static func clock(of name: String) throws(KappaError) -> LocalClock {
        let rules = try rules(of: name)
        return LocalClock(name: name, rulesDigest: rules.digest) { local in
            let seconds = CivilDay.floorDivide(Int(local), 1_000_000)
            let rest = local - Int64(seconds) * 1_000_000
            return rules.isShown(local: seconds)
                ? Int64(rules.instant(ofLocal: seconds)) * 1_000_000 + rest
                : Int64(rules.instant(ofLocal: seconds)) * 1_000_000
        }
    }
}
