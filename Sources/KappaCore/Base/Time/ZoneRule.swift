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
                // Here weeks begin on Monday.
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

    /// The changes of a year, in the order of time.
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
