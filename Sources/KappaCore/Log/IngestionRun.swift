/// What is appended to move stream time alone.
package enum LogTick: Equatable, Sendable {
    /// Moves it to a time at least, in microseconds since 1970-01-01T00:00:00Z: in the time partition of a source, or
    /// in all.
    case time(Int64, source: String?)
    /// Makes a source a time partition of its own. Its next events are in it, and until then it holds all
    /// others back.
    case declaration(String)
}

/// Consecutive events of a block that were appended together.
///
/// | bytes | what |
/// |---|---|
/// | 4 | events |
/// | 1 | bit 0: they have a source; bit 1: and its digest is known; bit 2: some are erased; |
/// |   | bit 3: their time partition is declared; bit 4: it is a tick; bit 5: of all partitions |
/// | 8 | when they were appended |
/// | 1 | with a source: the length of its name |
/// | … | its name |
/// | 8 | its position |
/// | 4 | how many events past that position |
/// | 8, 4 | with a digest: the number of bytes, and their CRC32C |
/// | 4 | with erased events: how many, |
/// | 4, 4, 4 | and of each its index in the run, and the size and CRC32C of its line as it was appended |
/// | 1, … | with a time partition: the length of its name, and the name; 0 for the source's name |
/// | 8 | with a tick: its time |
package struct IngestionRun: Equatable, Sendable {
    package var events: Int
    /// When they were appended, in microseconds since 1970-01-01T00:00:00Z.
    package var ingestedAtMicros: Int64
    /// The source of the events, and how far it is in the log with them.
    package var source: SourceMark?
    /// Tombstones, in ascending order: events whose line is now `{}`, and which nobody takes.
    package var erased: [ErasedEvent] = []
    /// The time partition of the events, if it is declared. All other events share one.
    package var partition: String?
    /// Set if the run's only event is a tick.
    package var tick: Tick?

    /// A recorded event that only moves stream time. Its line is `{}`, and nobody takes it.
    package struct Tick: Equatable, Sendable {
        /// What the stream time reaches at least, in microseconds since 1970-01-01T00:00:00Z; `Int64.min` to
        /// declare a partition and no more.
        package var timeMicros: Int64
        /// Whether it moves all partitions, and not only that of its run.
        package var movesAll: Bool

        package init(timeMicros: Int64, movesAll: Bool) {
            self.timeMicros = timeMicros
            self.movesAll = movesAll
        }
    }

    /// What is left of an erased event, so that the log's digests still hold.
    package struct ErasedEvent: Equatable, Sendable {
        /// Which of the run's events it was.
        package var index: Int
        /// The size and CRC32C of its line as it was appended, with the newline.
        var bytes: Int
        var crc: UInt32
    }

    /// The line in the place of an erased event, and of a tick.
    static let tombstone: [UInt8] = Array("{}\n".utf8)

    private static let hasSource: UInt8 = 1
    private static let hasDigest: UInt8 = 2
    private static let hasErased: UInt8 = 4
    private static let hasPartition: UInt8 = 8
    private static let isTick: UInt8 = 16
    private static let movesAll: UInt8 = 32

    /// Whether the event with this index is erased.
    func hasErased(_ index: Int) -> Bool { erasedEvent(index) != nil }

    /// What is left of the event with this index, if it is erased.
    func erasedEvent(_ index: Int) -> ErasedEvent? {
        var (low, high) = (0, erased.count)
        while low < high {
            let middle = (low + high) / 2
            if erased[middle].index < index { low = middle + 1 } else { high = middle }
        }
        return low < erased.count && erased[low].index == index ? erased[low] : nil
    }

    /// Whether the next run's events can be added: it has the same time, source and partition.
    func continues(in next: IngestionRun) -> Bool {
        ingestedAtMicros == next.ingestedAtMicros && source?.name == next.source?.name
            && partition == next.partition && tick == nil && next.tick == nil
    }

    /// Adds the events of a run that ``continues(in:)``.
    mutating func append(_ next: IngestionRun) {
        let first = events
        events += next.events
        source = next.source
        erased += next.erased.map { event in
            var event = event
            event.index += first
            return event
        }
    }

    /// Some of its events.
    func part(_ events: Range<Int>) -> IngestionRun {
        var part = self
        part.events = events.count
        if erased.isEmpty { return part }
        part.erased = erased.filter { events.contains($0.index) }.map { erased in
            var erased = erased
            erased.index -= events.lowerBound
            return erased
        }
        return part
    }

    func encode(into bytes: inout [UInt8]) {
        bytes.append(number: UInt32(events))
        var flags: UInt8 = 0
        if source != nil { flags |= Self.hasSource }
        if source?.point.digest != nil { flags |= Self.hasDigest }
        if !erased.isEmpty { flags |= Self.hasErased }
        if partition != nil { flags |= Self.hasPartition }
        if let tick { flags |= tick.movesAll ? Self.isTick | Self.movesAll : Self.isTick }
        bytes.append(number: flags)
        bytes.append(number: ingestedAtMicros)
        if let source {
            bytes.append(number: UInt8(source.name.utf8.count))
            bytes.append(contentsOf: source.name.utf8)
            bytes.append(number: source.point.position)
            bytes.append(number: source.point.eventsPast)
        }
        if let digest = source?.point.digest {
            bytes.append(number: digest.bytes)
            bytes.append(number: digest.crc)
        }
        if !erased.isEmpty {
            bytes.append(number: UInt32(erased.count))
            for event in erased {
                bytes.append(number: UInt32(event.index))
                bytes.append(number: UInt32(event.bytes))
                bytes.append(number: event.crc)
            }
        }
        if let partition {
            let name = partition == source?.name ? "" : partition
            bytes.append(number: UInt8(name.utf8.count))
            bytes.append(contentsOf: name.utf8)
        }
        if let tick { bytes.append(number: tick.timeMicros) }
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
        guard flags <= hasSource | hasDigest | hasErased | hasPartition | isTick | movesAll,
            flags & hasSource != 0 || flags & hasDigest == 0,
            flags & isTick != 0 ? events == 1 : flags & movesAll == 0
        else { throw StateReader.damage("a run has unknown flags") }
        var run = IngestionRun(events: events, ingestedAtMicros: try reader.readInteger())
        if flags & hasSource != 0 {
            let name = try reader.readText(ofBytes: Int(try reader.readByte()))
            let position = UInt64(bitPattern: try reader.readInteger())
            let point = SourcePoint(position, eventsPast: try reader.readWord())
            run.source = SourceMark(name: name, point: point)
        }
        if flags & hasDigest != 0 {
            run.source?.point.digest = LogDigest(
                bytes: UInt64(bitPattern: try reader.readInteger()), crc: try reader.readWord())
        }
        if flags & hasErased != 0 { run.erased = try erased(&reader, of: events) }
        if flags & hasPartition != 0 {
            let name = try reader.readText(ofBytes: Int(try reader.readByte()))
            run.partition = name.isEmpty ? run.source?.name : name
        }
        if flags & isTick != 0 {
            run.tick = Tick(
                timeMicros: try reader.readInteger(), movesAll: flags & movesAll != 0)
        }
        return run
    }

    private static func erased(
        _ reader: inout StateReader, of events: Int
    ) throws(KappaError) -> [ErasedEvent] {
        var erased: [ErasedEvent] = []
        for _ in 0..<(try reader.readWord()) {
            let event = ErasedEvent(
                index: Int(try reader.readWord()), bytes: Int(try reader.readWord()),
                crc: try reader.readWord())
            guard event.index < events, event.index > erased.last?.index ?? -1 else {
                throw StateReader.damage("its erased events are not in order")
            }
            erased.append(event)
        }
        return erased
    }
}
