import Glibc
import Synchronization

/// How far a zone's clocks are ahead of UTC, at every instant.
///
/// The rules come from the system's time zone database, so the zone's file is an input of a view: the
/// file's digest is part of the view's digest, and a changed rule makes a new version.
package final class TimeZoneRules: Sendable {
    /// From `start` on, in seconds since 1970, clocks are `offset` seconds ahead of UTC.
    struct Period: Equatable, Sendable {
        var start: Int
        var offset: Int
    }
    /// Sorted by their start; the first one starts at `Int.min`.
    let periods: [Period]
    /// The digest of the file's bytes; empty for UTC.
    package let digest: String

    package static let utc = TimeZoneRules(periods: [Period(start: .min, offset: 0)], digest: "")

    private init(periods: [Period], digest: String) {
        self.periods = periods
        self.digest = digest
    }

    /// The rules in the bytes of a TZif file (RFC 8536); nil where the bytes are not one.
    init?(file bytes: [UInt8]) {
        guard let file = ZoneFile(bytes) else { return nil }
        periods = file.periods
        var hash = StableHash()
        hash.add(bytes)
        digest = hash.digits
    }

    /// The index of the period that an instant is in.
    func index(at seconds: Int) -> Int {
        var (low, high) = (0, periods.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if periods[middle].start <= seconds { low = middle } else { high = middle }
        }
        return low
    }

    /// The calendar day in this zone at an instant.
    func day(at seconds: Int) -> Int {
        CivilDay.floorDivide(seconds + periods[index(at: seconds)].offset, Self.secondsOfDay)
    }

    /// The first instant at which clocks show this day or a later one, in seconds since 1970. Where
    /// clocks skip midnight, the day begins when they do; where midnight occurs twice, with the first
    /// one.
    func start(ofDay day: Int) -> Int {
        let local = day * Self.secondsOfDay
        var index = index(at: local - 2 * Self.secondsOfDay)
        while true {
            let period = periods[index]
            let start = max(period.start, local - period.offset)
            index += 1
            if index == periods.count || start < periods[index].start { return start }
        }
    }

    static let secondsOfDay = 86_400
}

extension TimeZoneRules {
    /// The first instant at which clocks show a local time or a later one; calendar windows begin there.
    /// Where clocks skip the local time, it is the instant at which they do; where the local time occurs
    /// twice, it is the first one. Both in seconds.
    func instant(ofLocal local: Int) -> Int {
        var index = index(at: local - 2 * Self.secondsOfDay)
        while true {
            let period = periods[index]
            let start = max(period.start, local - period.offset)
            index += 1
            if index == periods.count || start < periods[index].start { return start }
        }
    }

    /// Whether clocks ever show a local time.
    func isShown(local: Int) -> Bool {
        let instant = instant(ofLocal: local)
        return instant + periods[index(at: instant)].offset == local
    }
}

/// The system's time zone database; each zone is read once.
enum TimeZoneDatabase {
    private static let folder = "/usr/share/zoneinfo"
    private static let known = Mutex<[String: TimeZoneRules]>([:])

    /// The rules of a zone such as `Europe/Berlin`; nil stands for UTC.
    /// - Throws: `.usage` where there is no such zone.
    static func rules(of name: String?) throws(KappaError) -> TimeZoneRules {
        guard let name else { return .utc }
        if let rules = known.withLock({ $0[name] }) { return rules }
        guard isName(name), let bytes = read("\(folder)/\(name)") else {
            let hasDatabase = access(folder, R_OK) == 0
            throw KappaError(
                .usage, "there is no time zone \"\(name)\"", at: "\(folder)/\(name)",
                because: hasDatabase
                    ? "the system's time zone database has no such file"
                    : "this system has no time zone database",
                advice: hasDatabase
                    ? "Name it as the database does, such as Europe/Berlin or America/New_York"
                    : "Install it (the package tzdata)")
        }
        guard let rules = TimeZoneRules(file: bytes) else {
            throw KappaError(
                .usage, "the rules of time zone \"\(name)\" cannot be read",
                at: "\(folder)/\(name)", because: "the file is no TZif file as in RFC 8536",
                advice: "Install the package tzdata again")
        }
        known.withLock { $0[name] = rules }
        return rules
    }

    /// Whether it is a name that cannot lead out of the database's folder.
    private static func isName(_ name: String) -> Bool {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        return parts.allSatisfy { part in
            !part.isEmpty && !part.hasPrefix(".")
                && part.utf8.allSatisfy {
                    (0x41...0x5A).contains($0 & 0xDF) || (0x30...0x39).contains($0)
                        || [0x2B, 0x2D, 0x2E, 0x5F].contains($0)
                }
        }
    }

    private static func read(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 14)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { return ferror(file) == 0 ? bytes : nil }
            bytes += chunk[..<count]
        }
    }
}
