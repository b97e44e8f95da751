/// The contents of a TZif file, as RFC 8536 describes it: what has changed so far, and the rule for
/// what comes.
struct ZoneFile {
    private(set) var periods: [TimeZoneRules.Period] = []

    init?(_ bytes: [UInt8]) {
        guard let first = Header(bytes, at: 0) else { return nil }
        // From version 2 on, the same follows with times of 64 bits.
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
        /// Of UT indicators, standard indicators, leap seconds, transitions, types and characters.
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

    /// Writes the rule out as transitions, up to the last year that an event's time can have.
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
