import Glibc
import Synchronization

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

    /// No name leads out of the database.
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
