import Foundation
import Testing

@testable import KappaCore
@testable import ViewDigestsTool

/// Over a fixed log, the sample views give the same definitions, rows and files as when `fixtures/replays`
/// was stored.
///
/// A change that intentionally alters one of them stores the new values (`KAPPA_STORE_REPLAYS=1`), and the changelog
/// says so.
@Suite("Replays of the sample views, against stored ones")
struct StoredReplayTests {
    private struct Stored {
        var view: String
        /// Of the definition.
        var digest: String
        /// SHA-256 of the rows as CSV, and of the version's file.
        var rows: String
        var file: String
    }

    /// The SQLite whose files were stored: another one may lay its own pages out differently.
    private static let sqlite = "3.40.1"

    /// With the variable, the test writes what it finds.
    private static let stores = ProcessInfo.processInfo.environment["KAPPA_STORE_REPLAYS"] != nil

    private static func store(_ lines: [String]) throws {
        let folder = (0..<4).reduce(URL(filePath: #filePath)) { url, _ in
            url.deletingLastPathComponent()
        }
        let file = folder.appending(path: "fixtures/replays/sample-views.csv")
        let heading = try String(contentsOf: file, encoding: .utf8).prefix { $0 != "\n" }
        let text = ([String(heading)] + lines).joined(separator: "\n") + "\n"
        try text.write(to: file, atomically: true, encoding: .utf8)
    }

    private static func stored() throws -> [Stored] {
        let text = try SourceTree.file("fixtures/replays/sample-views.csv").text
        return text.split(separator: "\n").dropFirst().map { line in
            let cells = line.split(separator: ",").map(String.init)
            return Stored(view: cells[0], digest: cells[1], rows: cells[2], file: cells[3])
        }
    }

    /// Made-up events of a repository's history.
    private static let commits = (0..<3_000).map { number in
        let begin = 1_672_531_200_000_000
        let time = Timestamp(microseconds: Int64(begin + number * 4_111_000_000))
        let author = "author-\(number * 7 % 23)"
        if number % 3 == 0 {
            return #"{"event_type":"commit","author":"\#(author)","committed_at":"\#(time)","#
                + #""files":\#(number * 5 % 11)}"#
        }
        let added = number % 19 == 0 ? "null" : "\(number * 13 % 200)"
        return #"{"event_type":"file_changed","path":"d\#(number * 31 % 40)/f\#(number * 17 % 50)"#
            + #".swift","author":"\#(author)","added":\#(added),"deleted":\#(number * 3 % 70),"#
            + #""committed_at":"\#(time)"}"#
    }.joined(separator: "\n")

    /// The bytes of a version's file, with zeros for the number at which its change feed begins: that is the
    /// time at which it was made.
    private static func withoutBirth(_ file: String) throws -> Data {
        var bytes = try Data(contentsOf: URL(fileURLWithPath: file))
        let birth = withUnsafeBytes(of: try VersionReader(file).feedFloor().bigEndian) { Data($0) }
        let place = try #require(bytes.range(of: birth))
        bytes.replaceSubrange(place, with: Data(count: birth.count))
        return bytes
    }

    @Test("definitions, rows and files are byte for byte what they were")
    func sampleViews() throws {
        let stored = try Self.stored()
        #expect(stored.count == 7)
        let kappa = try KappaProgram()
        let events = try kappa.run(
            "generate", "user-events", "--count", "20000", "--seed", "7", "--users", "300",
            "--disorder", "60")
        for input in [events.output, Self.commits] {
            #expect(try kappa.run("append", input: input).code == 0)
        }
        let rebuilt = try kappa.run("rebuild", "--all")
        try #require(rebuilt.code == 0, "\(rebuilt)")
        let connection = try SQLiteConnection(":memory:", .create)
        let version = try connection.prepare("SELECT sqlite_version()")
        _ = try version.step()
        let isSameSQLite = version.string(0) == Self.sqlite
        var found: [String] = []
        for view in stored {
            let file = kappa.data.file(VersionID(view.view, VersionNumber(1)))
            let digest = try VersionReader(file).digest
            let output = try kappa.run("query", view.view, "--format", "csv").output
            let rows = SHA256.hex(Array(output.utf8))
            let bytes = SHA256.hex(Array(try Self.withoutBirth(file)))
            found.append("\(view.view),\(digest),\(rows),\(bytes)")
            if Self.stores { continue }
            #expect(digest == view.digest, "\(view.view)")
            #expect(rows == view.rows, "\(view.view)")
            if isSameSQLite { #expect(bytes == view.file, "\(view.view)") }
        }
        if Self.stores { try Self.store(found) }
    }
}
