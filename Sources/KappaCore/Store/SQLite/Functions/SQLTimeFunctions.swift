import CSQLite

/// Times, and what the clocks and calendars of a time zone show.
extension SQLFunctions {
    static func addTimes(to connection: SQLiteConnection) {
        define("ts", 1, on: connection) { call throws(SQLFailure) in
            guard let time = try call.time(0) else { return call.giveNull() }
            call.give(time.microseconds)
        }
        define("rfc3339", 1, on: connection) { call throws(SQLFailure) in
            guard let time = try call.time(0) else { return call.giveNull() }
            call.give(time.description)
        }
        defineLocal("local_date", on: connection) { $0.give($1.dateText) }
        defineLocal("local_time", on: connection) { $0.give($1.timeText) }
        defineLocal("local_datetime", on: connection) { $0.give($1.description) }
        defineLocal("local_hour", on: connection) { $0.give(Int64($1.hour)) }
        defineLocal("local_weekday", on: connection) { $0.give(Int64($1.weekday.number)) }
    }

    private static func defineLocal(
        _ name: String, on connection: SQLiteConnection,
        _ give: @escaping (SQLCall, LocalTime) -> Void
    ) {
        define(name, 2, on: connection) { call throws(SQLFailure) in
            guard let time = try call.time(0), let rules = try call.zone(1) else {
                return call.giveNull()
            }
            give(call, LocalTime(time, rules))
        }
    }
}

extension SQLCall {
    /// A time's cell, which counts microseconds, or a text that is a time; nil for NULL.
    fileprivate func time(_ index: Int) throws(SQLFailure) -> Timestamp? {
        switch type(index) {
        case SQLITE_NULL: return nil
        case SQLITE_INTEGER: return Timestamp(microseconds: integer(index))
        case SQLITE_TEXT:
            if let time = Timestamp(written: text(index)) { return time }
        default: break
        }
        throw SQLFailure("\(shown(index)) is not a time. Write \(Timestamp.howToWrite).")
    }

    /// The rules of a zone; nil for NULL. A statement that names its zone looks it up once.
    fileprivate func zone(_ index: Int) throws(SQLFailure) -> TimeZoneRules? {
        if let known = sqlite3_get_auxdata(context, Int32(index)) {
            return Unmanaged<TimeZoneRules>.fromOpaque(known).takeUnretainedValue()
        }
        guard type(index) == SQLITE_TEXT else {
            if isNull(index) { return nil }
            throw SQLFailure("\(shown(index)) is no time zone. Write one such as 'Europe/Berlin'.")
        }
        let rules: TimeZoneRules
        do throws(KappaError) { rules = try TimeZoneDatabase.rules(of: text(index)) } catch {
            let why = error.reason.map { ": \($0)" } ?? ""
            throw SQLFailure("\(error.what)\(why). \(error.advice ?? "")")
        }
        sqlite3_set_auxdata(
            context, Int32(index), Unmanaged.passRetained(rules).toOpaque(),
            { data in
                if let data { Unmanaged<TimeZoneRules>.fromOpaque(data).release() }
            })
        return rules
    }
}

extension Timestamp {
    /// How people write a time in a condition.
    package static let howToWrite =
        "a date such as '2024-01-15', or a time such as '2024-01-15T14:30:00Z' (UTC if it names no zone)"

    /// A time as people write it: a date (its midnight in UTC), or RFC 3339, where the zone may be left out
    /// (UTC), the seconds too, and a space may replace the `T`. Years outside 0000 to 9999 are read as
    /// kappa prints them.
    package init?(written text: String) {
        if let time = Timestamp(extended: text) {
            self = time
            return
        }
        let bytes = Array(text.utf8)
        func isTime(_ from: Int, _ pattern: String) -> Bool {
            let pattern = Array(pattern.utf8)
            guard bytes.count >= from + pattern.count else { return false }
            return zip(bytes[from...], pattern).allSatisfy { byte, wanted in
                wanted == UInt8(ascii: "9") ? (0x30...0x39).contains(byte) : byte == wanted
            }
        }
        guard isTime(0, "9999-99-99") else { return nil }
        let date = String(decoding: bytes[..<10], as: UTF8.self)
        if bytes.count == 10 {
            self.init(date + "T00:00:00Z")
            return
        }
        guard [0x20, UInt8(ascii: "T"), UInt8(ascii: "t")].contains(bytes[10]),
            isTime(11, "99:99")
        else { return nil }
        var clock = String(decoding: bytes[11..<16], as: UTF8.self)
        var at = 16
        if isTime(at, ":99") {
            clock += String(decoding: bytes[at..<at + 3], as: UTF8.self)
            at += 3
            if isTime(at, ".9") {
                let fraction = bytes[(at + 1)...].prefix { (0x30...0x39).contains($0) }
                clock += "." + String(decoding: fraction, as: UTF8.self)
                at += 1 + fraction.count
            }
        } else {
            clock += ":00"
        }
        var zone = String(decoding: bytes[at...], as: UTF8.self)
        if zone.first == " " { zone.removeFirst() }
        switch zone.utf8.count {
        case 0: zone = bytes.count == at ? "Z" : ""
        // PostgreSQL prints +02.
        case 3: zone += ":00"
        default: break
        }
        self.init(date + "T" + clock + zone)
    }
}
