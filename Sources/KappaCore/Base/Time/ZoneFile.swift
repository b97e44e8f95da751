/// The contents of a TZif file, as RFC 8536 describes it: the changes so far, and the rule for the
/// future.
struct ZoneFile {
    private(set) var periods: [TimeZoneRules.Period] = []

    init?(_ bytes: [UInt8]) {
        guard let first = Header(bytes, at: 0) else { return nil }
        // From version 2 on, the same data follows again with 64-bit times.
        guard first.version >= 0x32 else {
            guard read(bytes, first, timeBytes: 4) else { return nil }
            return
        }
        guard let second = Header(bytes, at: first.end(timeBytes: 4)),
            read(bytes, second, timeBytes: 8)
        else { return nil }
        let footer = bytes[second.end(timeBytes: 8)...].split(
            separator: 0x0A, omittingEmptySubsequences: false)
        guard footer.count >= 3 else { return nil }
        if footer[1].isEmpty { return }
        guard let rule = ZoneRule(String(decoding: footer[1], as: UTF8.self)) else { return nil }
        extend(by: rule)
    }

    private struct Header {
        let version: UInt8
        /// The numbers of UT indicators, standard indicators, leap seconds, transitions, types and
        /// characters.
        let counts: [Int]
        let start: Int

        init?(_ bytes: [UInt8], at place: Int) {
            guard place + 44 <= bytes.count, bytes[place..<place + 4].elementsEqual("TZif".utf8)
            else { return nil }
            version = bytes[place + 4]
            counts = (0..<6).map { ZoneFile.integer(bytes, at: place + 20 + 4 * $0, bytes: 4) }
            start = place + 44
            guard counts.allSatisfy({ $0 >= 0 && $0 < 1 << 20 }), counts[4] > 0,
                version == 0 || version >= 0x32
            else { return nil }
        }

        func end(timeBytes: Int) -> Int {
            start + counts[3] * (timeBytes + 1) + counts[4] * 6 + counts[5]
                + counts[2] * (timeBytes + 4) + counts[1] + counts[0]
        }
    }

    private static func integer(_ bytes: [UInt8], at place: Int, bytes count: Int) -> Int {
        var value: UInt64 = bytes[place] >= 0x80 ? .max : 0
        for byte in bytes[place..<place + count] { value = value << 8 | UInt64(byte) }
        return Int(Int64(bitPattern: value))
    }

    private mutating func read(_ bytes: [UInt8], _ header: Header, timeBytes: Int) -> Bool {
        guard header.end(timeBytes: timeBytes) <= bytes.count else { return false }
        let (times, types) = (header.counts[3], header.counts[4])
        let typeIndices = header.start + times * timeBytes
        func offset(ofType type: Int) -> Int {
            Self.integer(bytes, at: typeIndices + times + 6 * type, bytes: 4)
        }
        periods = [TimeZoneRules.Period(start: .min, offset: offset(ofType: 0))]
        for index in 0..<times {
            let type = Int(bytes[typeIndices + index])
            guard type < types else { return false }
            let start = Self.integer(bytes, at: header.start + index * timeBytes, bytes: timeBytes)
            guard index == 0 || start > periods[periods.count - 1].start else { return false }
            periods.append(TimeZoneRules.Period(start: start, offset: offset(ofType: type)))
        }
        return periods.allSatisfy { abs($0.offset) < 2 * TimeZoneRules.secondsOfDay }
    }

    /// Expands the rule into transitions, up to the last year that an event's time can have.
    private mutating func extend(by rule: ZoneRule) {
        guard let last = periods.last else { return }
        let year = last.start == .min ? 1970 : CivilDay.month(of: last.start / 86_400).year
        guard rule.summer != nil else {
            if last.offset != rule.offset, last.start == .min {
                periods.append(TimeZoneRules.Period(start: 0, offset: rule.offset))
            }
            return
        }
        guard year <= 9_999 else { return }
        for year in max(year, 1970)...9_999 {
            for period in rule.changes(in: year) where period.start > last.start {
                periods.append(period)
            }
        }
    }
}

/// A zone's rule for all years to come, in the form of POSIX's `TZ` with the extensions of RFC 8536:
/// `CET-1CEST,M3.5.0,M10.5.0/3`.
struct ZoneRule {
    /// Seconds that clocks are ahead of UTC in winter.
    let offset: Int
    private(set) var summer: Summer?

    struct Summer {
        var offset: Int
        var begins: Moment
        var ends: Moment
    }

    /// A day of each year and seconds from its local midnight.
    struct Moment {
        enum Day {
            /// Day 1 … 365 of the year, the leap day never counted.
            case withoutLeap(Int)
            /// Day 0 … 365 of the year, the leap day counted.
            case withLeap(Int)
            /// The n-th (5: the last) such weekday (0: Sunday) of a month.
            case weekday(month: Int, week: Int, day: Int)
        }
        var day: Day
        var seconds = 7_200

        /// In seconds since 1970, by clocks that show local time.
        func local(in year: Int) -> Int { dayNumber(in: year) * 86_400 + seconds }

        private func dayNumber(in year: Int) -> Int {
            let newYear = CivilDay.day(year: year, month: 1, day: 1)
            switch day {
            case .withoutLeap(let number):
                return newYear + number - 1 + (CivilDay.isLeap(year) && number >= 60 ? 1 : 0)
            case .withLeap(let number): return newYear + number
            case .weekday(let month, let week, let weekday):
                let first = CivilDay.first(ofMonth: month, year: year)
                let next = CivilDay.first(ofMonth: month + 1, year: year)
                // ``CivilDay`` counts weekdays from Monday.
                let wanted = (weekday + 6) % 7
                var day = first + (wanted - CivilDay.weekday(of: first) + 7) % 7 + 7 * (week - 1)
                if day >= next { day -= 7 }
                return day
            }
        }
    }

    init?(_ text: String) {
        var reader = Reader(text)
        guard reader.skipName(), let west = reader.time() else { return nil }
        offset = -west
        if reader.isAtEnd { return }
        guard reader.skipName() else { return nil }
        var summerOffset = offset + 3_600
        if !reader.isNext(",") {
            guard let west = reader.time() else { return nil }
            summerOffset = -west
        }
        guard reader.take(","), let begins = reader.moment(), reader.take(","),
            let ends = reader.moment(), reader.isAtEnd
        else { return nil }
        summer = Summer(offset: summerOffset, begins: begins, ends: ends)
    }

    /// The changes of a year, in chronological order.
    func changes(in year: Int) -> [TimeZoneRules.Period] {
        guard let summer else { return [] }
        let begins = TimeZoneRules.Period(
            start: summer.begins.local(in: year) - offset, offset: summer.offset)
        let ends = TimeZoneRules.Period(
            start: summer.ends.local(in: year) - summer.offset, offset: offset)
        return begins.start < ends.start ? [begins, ends] : [ends, begins]
    }

    private struct Reader {
        private var rest: ArraySlice<UInt8>

        init(_ text: String) { rest = Array(text.utf8)[...] }

        var isAtEnd: Bool { rest.isEmpty }
        func isNext(_ character: Unicode.Scalar) -> Bool {
            rest.first.map { UInt32($0) == character.value } ?? false
        }
        mutating func take(_ character: Unicode.Scalar) -> Bool {
            guard isNext(character) else { return false }
            rest.removeFirst()
            return true
        }

        /// A zone's abbreviation: letters, or anything in angle brackets.
        mutating func skipName() -> Bool {
            if take("<") {
                while let next = rest.popFirst() { if next == 0x3E { return true } }
                return false
            }
            let before = rest.count
            while let next = rest.first, (0x41...0x5A).contains(next & 0xDF) { rest.removeFirst() }
            return rest.count < before
        }

        mutating func number() -> Int? {
            var value: Int?
            while let next = rest.first, (0x30...0x39).contains(next), value ?? 0 < 1_000 {
                value = (value ?? 0) * 10 + Int(next) - 0x30
                rest.removeFirst()
            }
            return value
        }

        /// `[+-]hh[:mm[:ss]]` in seconds.
        mutating func time() -> Int? {
            let sign = take("-") ? -1 : 1
            if sign == 1 { _ = take("+") }
            guard let hours = number(), hours <= 167 else { return nil }
            var seconds = hours * 3_600
            for unit in [60, 1] where take(":") {
                guard let part = number(), part < 60 else { return nil }
                seconds += part * unit
            }
            return sign * seconds
        }

        mutating func moment() -> Moment? {
            guard let day = day() else { return nil }
            var moment = Moment(day: day)
            if take("/") {
                guard let seconds = time() else { return nil }
                moment.seconds = seconds
            }
            return moment
        }

        private mutating func day() -> Moment.Day? {
            if take("J") {
                return number().flatMap { (1...365).contains($0) ? .withoutLeap($0) : nil }
            }
            guard take("M") else {
                return number().flatMap { (0...365).contains($0) ? .withLeap($0) : nil }
            }
            guard let month = number(), (1...12).contains(month), take("."),
                let week = number(), (1...5).contains(week), take("."), let day = number(),
                (0...6).contains(day)
            else { return nil }
            return .weekday(month: month, week: week, day: day)
        }
    }
}
