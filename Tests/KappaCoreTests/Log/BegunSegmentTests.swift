import Foundation
import Testing

@testable import KappaCore

/// A writer begins a segment before the head records it, and may die in between: readers read nothing past
/// the end that the head records.
@Suite("A segment that was only begun")
struct BegunSegmentTests {
    private let folder = LogFolder()
    private static let name = "00000000000000000100.log"

    private func fill() throws {
        _ = try LogWriter(folder.path).append(LogTesting.lines(LogTesting.numbered(0..<100)))
    }

    private func check() throws {
        let reader = try LogReader(folder.path)
        for offset in [0, 1, 99, 100] {
            try reader.seek(to: Offset(UInt64(offset)))
            #expect(try LogTesting.readOn(reader).count == 100 - offset)
        }
        try reader.seek(toBlockOf: Offset(99))
        #expect(throws: KappaError.self) { try reader.seek(toBlockOf: Offset(100)) }
        let verification = try LogVerification(folder.path)
        #expect(verification.damage == nil && verification.events == 100)
        let info = try LogInfo(folder.path)
        #expect(info.nextOffset == Offset(100) && info.segments == 1)
        #expect(try IngestionTimes.end(asOfMicros: .max, in: folder.path) == Offset(100))
        #expect(try IngestionTimes.micros(before: Offset(100), in: folder.path) != nil)
        var events = 0
        try BlockWalk.headers(folder.path, behind: nil) { events += $0.header.events }
        #expect(events == 100)
    }

    @Test("an empty one is not damage, and appends continue in it")
    func empty() throws {
        try fill()
        try folder.write([], to: Self.name)
        try check()
        _ = try LogWriter(folder.path).append(LogTesting.lines(LogTesting.numbered(100..<110)))
        #expect(try LogTesting.texts(folder.path) == LogTesting.numbered(0..<110))
        #expect(try LogVerification(folder.path).damage == nil)
    }

    @Test("a whole block in it that was never acknowledged is not read")
    func unacknowledged() throws {
        try fill()
        let other = try folder.copy()
        let writer = try LogWriter(other.path)
        _ = try writer.roll()
        _ = try writer.append(LogTesting.lines(LogTesting.numbered(100..<110)))
        try folder.write(try other.bytes(Self.name), to: Self.name)
        try check()
    }

    @Test("a version at the log's end passes the digest check and is promoted beside it")
    func promotion() throws {
        let versions = try VersionsFolder()
        try versions.append(ticks: 100)
        try versions.catchUp([tally("a")])
        try versions.catchUp([tally("b")], promotes: false)
        try Data().write(to: URL(fileURLWithPath: "\(versions.data.log)/\(Self.name)"))
        try versions.catchUp([tally("b")])
        #expect(try versions.catalog().live("tally")?.rawValue == 2)
    }
}
