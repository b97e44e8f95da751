import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// The conformance kit passes the sources that kappa has, and fails each that has a fault.
@Suite("The conformance kit for sources") struct EventSourceConformanceTests {
    private let folder = LogFolder()
    private let seed = LogTesting.seed

    private func add(_ lines: [String], to name: String) throws {
        let file = open(folder.file(name), O_WRONLY | O_CREAT | O_APPEND, 0o644)
        defer { close(file) }
        let bytes = Array(lines.map { $0 + "\n" }.joined().utf8)
        #expect(write(file, bytes, bytes.count) == bytes.count)
    }

    @Test("a file that grows conforms")
    func file() throws {
        let path = folder.file("app.log")
        try add([], to: "app.log")
        try EventSourceConformance(seed: seed) {
            FileSource(path, name: "app")
        } append: { lines in
            try add(lines, to: "app.log")
        }.check()
    }

    @Test("another log conforms", arguments: [false, true])
    func log(erases: Bool) throws {
        let writer = try LogWriter(folder.file("other"))
        var random = SplitMix(state: seed)
        let log = folder.file("other")
        // A reader that has a segment open still sees what was erased from it meanwhile.
        try EventSourceConformance(canFollow: !erases, seed: seed) {
            LogSource(log, name: "other")
        } append: { lines in
            for line in lines {
                if erases, Int.random(in: 0..<4, using: &random) == 0 {
                    let first = try writer.append(LogTesting.lines([#"{"secret":1}"#])).firstOffset
                    _ = try LogEraser(log).erase([first])
                }
                _ = try writer.append(LogTesting.lines([line]))
            }
        }.check()
    }

    @Test("standard input conforms: it delivers what the log does not have")
    func input() throws {
        let path = folder.file("input")
        try add([], to: "input")
        var open: [OpenFile] = []
        try EventSourceConformance(canFollow: false, seed: seed) {
            let file = try OpenFile(reading: path)
            open.append(file)
            return InputSource(file.descriptor, name: "input")
        } append: { lines in
            try add(lines, to: "input")
        }.check()
    }

    @Test("a source with two partitions conforms, also where its positions have gaps")
    func partitions() throws {
        for gap in [0, 7] {
            let list = ListedEvents(partitions: ["ev/0", "ev/1"], gap: gap)
            try EventSourceConformance(seed: seed) {
                ListSource(list, nil)
            } append: {
                list.append($0)
            }.check()
        }
    }

    @Test("each fault of a source is found", arguments: ListSource.Fault.allCases)
    func planted(fault: ListSource.Fault) throws {
        for gap in [0, 7] where gap > 0 || fault != .jumpsOver {
            let list = ListedEvents(partitions: ["ev/0", "ev/1"], gap: gap)
            var found: (any Error)?
            do {
                try EventSourceConformance(mostSeconds: 2, seed: seed) {
                    ListSource(list, fault)
                } append: {
                    list.append($0)
                }.check()
            } catch { found = error }
            let isExpected =
                found is EventSourceConformance.Failure
                || [.bug, .badInput].contains((found as? KappaError)?.code)
            #expect(isExpected, "\(fault), gap \(gap), seed \(seed): \(String(describing: found))")
        }
    }
}

/// Events of a source in memory. With a gap, each position is larger by up to so many more than the one before.
final class ListedEvents {
    struct Entry {
        var line: String
        /// The position before it, and after it.
        var position: UInt64
        var next: UInt64
    }

    let partitions: [String]
    private let gap: Int
    private(set) var entries: [[Entry]]
    private var random = SplitMix(state: 1)
    private var ends: [UInt64]
    private var count = 0
    /// How often a source over it was opened.
    var openings = 0

    init(partitions: [String], gap: Int) {
        self.partitions = partitions
        self.gap = gap
        entries = partitions.map { _ in [] }
        ends = partitions.map { _ in 0 }
    }

    func append(_ lines: [String]) {
        for line in lines {
            let partition = count % partitions.count
            count += 1
            let next = ends[partition] + 1 + UInt64.random(in: 0...UInt64(gap), using: &random)
            entries[partition].append(Entry(line: line, position: ends[partition], next: next))
            ends[partition] = next
        }
    }
}

/// A source over events in memory, which may have a fault.
final class ListSource: EventSource {
    enum Fault: CaseIterable {
        case repeatsAnEvent, skipsAnEvent, repeatsOnReopening, skipsOnReopening
        case positionGoesBack, positionStays, positionsChange, positionTooSmall, jumpsOver
        case losesTheTail, losesWhatComesLater, halfLine, otherOrder, otherEvent, otherPartition
        case neverEnds, endsWhileFollowed, waitsTooLong, staleLag
    }

    private let events: ListedEvents
    private let fault: Fault?
    /// The index of the next event of each partition, and where it ends.
    private var at: [Int] = []
    private var ends: [Int] = []
    private var positions: [UInt64] = []
    private var isFollowing = false
    private var opening = 0
    private var batches = 0

    init(_ events: ListedEvents, _ fault: Fault?) {
        self.events = events
        self.fault = fault
    }

    var partitions: [String] { events.partitions }

    func open(_ histories: [SourceHistory], following: Bool) {
        events.openings += 1
        opening = events.openings
        isFollowing = following
        positions = histories.map(\.position)
        ends = events.entries.map(\.count)
        at = histories.indices.map { partition in
            let entries = events.entries[partition]
            var position = histories[partition].position
            if fault == .positionsChange, opening % 2 == 0, position > 0 { position -= 1 }
            let index = entries.firstIndex { $0.next > position } ?? entries.count
            guard position > 0 else { return index }
            switch fault {
            case .repeatsOnReopening: return max(0, index - 1)
            case .skipsOnReopening: return min(entries.count, index + 1)
            default: return index
            }
        }
        if fault == .losesTheTail { ends = ends.map { max(0, $0 - 1) } }
    }

    func next(waitingAtMost wait: Duration) -> SourceDelivery {
        for partition in at.indices {
            let end =
                isFollowing && fault != .losesWhatComesLater
                ? events.entries[partition].count : ends[partition]
            if at[partition] < end { return .batch(batch(partition, end)) }
        }
        if fault == .waitsTooLong { usleep(2_500_000) }
        if isFollowing ? fault == .endsWhileFollowed : fault != .neverEnds { return .end }
        usleep(10_000)
        return .nothing
    }

    func lag(of partition: String) -> UInt64? { fault == .staleLag ? 1 : 0 }
    func close() {}

    private func batch(_ partition: Int, _ end: Int) -> SourceLines {
        batches += 1
        let first = at[partition]
        let last = min(end, first + 1 + (first + opening) % 5)
        at[partition] = last
        var lines = events.entries[partition][first..<last].map(\.line)
        var batch = SourceLines(
            partition: partitions[partition], position: positions[partition],
            next: events.entries[partition][last - 1].next, lines: [], origin: "memory")
        if batches == 3 { spoil(&lines, &batch) }
        if fault == .positionsChange, opening % 2 == 0 { batch.next += UInt64(batches) }
        positions[partition] = batch.next
        batch.lines = Array(lines.map { $0 + "\n" }.joined().utf8)
        return batch
    }

    private func spoil(_ lines: inout [String], _ batch: inout SourceLines) {
        switch fault {
        case .repeatsAnEvent: lines.insert(lines[0], at: 0)
        case .skipsAnEvent: lines.removeFirst()
        case .positionGoesBack: batch.next = batch.position - 1
        case .positionStays: batch.next = batch.position
        case .positionTooSmall: batch.next = batch.position + UInt64(lines.count) - 1
        case .jumpsOver: batch.position += 1
        case .halfLine: lines[0].removeLast(5)
        case .otherOrder: lines.reverse()
        case .otherEvent: lines[0] = #"{"other":1}"#
        case .otherPartition: batch.partition = "ev/2"
        default: break
        }
    }
}
