import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// The write-ahead log of a file grows during a long read, and kappa reports it.
@Suite("Write-ahead logs that a reader pins") struct PinnedLogTests {
    private struct Note: Event {
        var k: Int
        var text: String
        static let eventType: String? = nil
    }

    private static let notes = View("notes", digest: "1") {
        Events(Note.self).grouped(by: \.k).aggregate(.last(\.text).as("text"))
    }

    /// Far less than a commit adds, and more than a log has after a checkpoint.
    private static let limit = 1 << 20

    private func append(_ count: Int, _ folder: VersionsFolder) throws {
        let text = String(repeating: "x", count: 1_000)
        try folder.append((0..<count).map { #"{"k":\#($0),"text":"\#(text)"}"# })
    }

    @Test("status reports it, and run warns once, until the reader has gone")
    func pinned() throws {
        let folder = try VersionsFolder()
        try append(10, folder)
        let build = try RunningBuild(folder.data, [Self.notes]) { $0.mostLogBytes = Self.limit }
        let id = VersionID("notes", VersionNumber(1))
        func status() throws -> VersionStatus? {
            try VersionStatus.all(folder.catalog(), mostLogBytes: Self.limit).first
        }
        func warnings() -> [String] { build.said.filter { $0.hasPrefix("log of notes@1 grows") } }
        try build.until("it is live") { try folder.catalog().live("notes") != nil }
        try build.until("it is at 10") { try status()?.position == Offset(10) }
        #expect(try status()?.reason == nil)

        var reader: VersionReader? = try folder.reader("notes", 1)
        try reader?.hold()
        #expect(try reader?.rowCount(table: 0) == 10)
        for round in 1...4 {
            try append(1_000, folder)
            let end = Offset(UInt64(10 + 1_000 * round))
            try build.until("it is at \(end)") { try status()?.position == end }
        }
        let reason = try #require(try status()?.reason)
        #expect(
            reason.contains("write-ahead log has grown") && reason.contains(folder.data.file(id)))
        try build.until("it warns") { !warnings().isEmpty }
        try append(1_000, folder)
        try build.until("it is at the end") { try status()?.position == Offset(5_010) }
        #expect(warnings().count == 1, "\(build.said)")
        #expect(warnings()[0].contains("a reader holds an old snapshot"))

        // Without the reader the log is moved into the file when the version ends, and nothing is reported.
        reader = nil
        try build.stop()
        let next = try RunningBuild(folder.data, [Self.notes]) { $0.mostLogBytes = Self.limit }
        try append(1, folder)
        try next.until("it is at the end") { try status()?.position == Offset(5_011) }
        try next.stop()
        #expect(try status()?.reason == nil)
    }
}
