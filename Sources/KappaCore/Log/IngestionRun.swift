/// Consecutive events of a block that were appended together.
///
/// | bytes | what |
/// |---|---|
/// | 4 | events |
/// | 1 | bit 0: they have a source; bit 1: and its digest is known; the other bits are 0 |
/// | 8 | when they were appended |
/// | 1 | with a source: the length of its name |
/// | … | its name |
/// | 8 | its position |
/// | 4 | how many events past that position |
/// | 8, 4 | with a digest: the number of bytes, and their CRC32C |
package struct IngestionRun: Equatable, Sendable {
    package var events: Int
    /// When they were appended, in microseconds since 1970-01-01T00:00:00Z.
    package var ingestedAtMicros: Int64
    /// The source of the events, and how far it is in the log with them.
    package var source: SourceMark?

    private static let hasSource: UInt8 = 1
    private static let hasDigest: UInt8 = 2

    func encode(into bytes: inout [UInt8]) {
        bytes.append(number: UInt32(events))
        var flags: UInt8 = 0
        if source != nil { flags |= Self.hasSource }
        if source?.point.digest != nil { flags |= Self.hasDigest }
        bytes.append(number: flags)
        bytes.append(number: ingestedAtMicros)
        guard let source else { return }
        bytes.append(number: UInt8(source.name.utf8.count))
        bytes.append(contentsOf: source.name.utf8)
        bytes.append(number: source.point.position)
        bytes.append(number: source.point.eventsPast)
        guard let digest = source.point.digest else { return }
        bytes.append(number: digest.bytes)
        bytes.append(number: digest.crc)
    }

    /// The runs of a block; nil if the bytes are not runs.
    static func decode(
        _ bytes: UnsafeRawBufferPointer, _ format: BlockHeader.Format
    ) -> [IngestionRun]? {
        var reader = StateReader(bytes)
        var runs: [IngestionRun] = []
        while !reader.isAtEnd {
            let run = try? format == .first ? inFirstFormat(&reader) : inSecondFormat(&reader)
            guard let run else { return nil }
            runs.append(run)
        }
        return runs
    }

    /// Format 1 has events, time, position and name, in this order; without a source the name is empty.
    private static func inFirstFormat(
        _ reader: inout StateReader
    ) throws(KappaError) -> IngestionRun {
        var run = IngestionRun(
            events: Int(try reader.readWord()), ingestedAtMicros: try reader.readInteger())
        let point = SourcePoint(UInt64(bitPattern: try reader.readInteger()))
        let name = try reader.readText(ofBytes: Int(try reader.readByte()))
        if !name.isEmpty { run.source = SourceMark(name: name, point: point) }
        return run
    }

    private static func inSecondFormat(
        _ reader: inout StateReader
    ) throws(KappaError) -> IngestionRun {
        let events = Int(try reader.readWord())
        let flags = try reader.readByte()
        guard [0, hasSource, hasSource | hasDigest].contains(flags) else {
            throw StateReader.damage("a run has unknown flags")
        }
        var run = IngestionRun(events: events, ingestedAtMicros: try reader.readInteger())
        if flags & hasSource == 0 { return run }
        let name = try reader.readText(ofBytes: Int(try reader.readByte()))
        var point = SourcePoint(
            UInt64(bitPattern: try reader.readInteger()), eventsPast: try reader.readWord())
        if flags & hasDigest != 0 {
            point.digest = LogDigest(
                bytes: UInt64(bitPattern: try reader.readInteger()), crc: try reader.readWord())
        }
        run.source = SourceMark(name: name, point: point)
        return run
    }
}
