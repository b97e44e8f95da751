import CKappaJSON

/// The clocks of a version. Each one runs in every time partition of the log by itself, so that a partition that
/// lags makes nothing late in another; what is final is decided by the least of them.
package final class PartitionClocks {
    private var partitions: [(name: String, hasEvents: Bool)]
    private var numbers: [String: Int]
    /// The partition of the current events.
    private var current = 0
    private var clocks: [PartitionClock] = []
    private var stored: StreamTimes

    /// - Parameter stored: The times at the last checkpoint.
    init(_ stored: StreamTimes) {
        self.stored = stored
        partitions = stored.partitions.map { ($0.name, $0.hasEvents) }
        numbers = Self.numbered(partitions)
    }

    private static func numbered(
        _ partitions: [(name: String, hasEvents: Bool)]
    ) -> [String: Int] {
        Dictionary(
            partitions.enumerated().map { ($0.element.name, $0.offset) }, uniquingKeysWith: { $1 })
    }

    /// The next clock.
    /// - Parameter columns: The plan's columns that hold event times. Empty if the time is computed: then only the
    ///   stream's own elements count. Nil if it stands still.
    func add(columns: [Int]?) -> PartitionClock {
        let clock = PartitionClock(columns: columns)
        clocks.append(clock)
        set(clock, clocks.count - 1)
        return clock
    }

    private func set(_ clock: PartitionClock, _ index: Int) {
        func time(_ times: [Int64]) -> Int64 {
            times.indices.contains(index) ? times[index] : .min
        }
        clock.set(stored.partitions.map { time($0.times) }, least: time(stored.least))
        clock.enter(current, others: others(clock))
    }

    /// The times as of the last event, for a checkpoint.
    var times: StreamTimes {
        StreamTimes(
            partitions: partitions.enumerated().map { index, partition in
                StreamTimes.Partition(
                    name: partition.name, hasEvents: partition.hasEvents,
                    times: clocks.map { $0.times[index] })
            }, least: clocks.map(\.least))
    }

    /// Sets all clocks.
    func set(_ times: StreamTimes) {
        stored = times
        partitions = times.partitions.map { ($0.name, $0.hasEvents) }
        numbers = Self.numbered(partitions)
        current = 0
        for (index, clock) in clocks.enumerated() { set(clock, index) }
    }

    // MARK: Passing

    /// Begins to pass events of a partition.
    func enter(_ partition: String?) {
        if partition == nil, current == 0 { return }
        let number = number(of: partition)
        if number == current { return }
        current = number
        partitions[number].hasEvents = true
        for clock in clocks { clock.enter(number, others: others(clock)) }
    }

    /// Passes a tick.
    /// - Parameter run: The tick's own run.
    func pass(_ run: IngestionRun, in batch: EventBatch) {
        guard let tick = run.tick else { return }
        let target = tick.movesAll ? nil : number(of: run.partition)
        for clock in clocks {
            let time = clock.columns.flatMap { batch.time(of: tick, run, on: $0) }
            let moved = target.map { $0..<($0 + 1) } ?? partitions.indices
            for number in moved where time != nil && isWaitedFor(number, clock) {
                clock.move(number, to: time ?? .min)
            }
            clock.pass(partitions.indices.filter { counts($0, clock) })
            clock.enter(current, others: others(clock))
        }
    }

    private func number(of partition: String?) -> Int {
        guard let partition else { return 0 }
        if let number = numbers[partition] { return number }
        partitions.append((partition, false))
        numbers[partition] = partitions.count - 1
        for clock in clocks { clock.addPartition() }
        return partitions.count - 1
    }

    /// Whether a partition holds a clock back. One whose events have no time by this clock does not: a view need not
    /// take anything from it.
    private func counts(_ number: Int, _ clock: PartitionClock) -> Bool {
        clock.times[number] > .min || number > 0 && !partitions[number].hasEvents
    }

    /// Whether a tick of a partition means anything to a clock.
    private func isWaitedFor(_ number: Int, _ clock: PartitionClock) -> Bool {
        counts(number, clock) || number == 0 && partitions.count == 1
    }

    /// What the partitions other than the current one have reached; `Int64.max` if there are none.
    private func others(_ clock: PartitionClock) -> Int64 {
        var least = Int64.max
        for number in partitions.indices where number != current && counts(number, clock) {
            least = min(least, clock.times[number])
        }
        return least
    }
}

/// One clock of a version.
package final class PartitionClock {
    /// See ``PartitionClocks/add(columns:)``.
    var columns: [Int]?
    /// The largest event time so far, by partition.
    fileprivate(set) var times: [Int64] = []
    /// The time that all partitions have passed; it never falls.
    private(set) var least = Int64.min
    private var current = 0
    /// What the partitions other than the current one have reached.
    private var others = Int64.max

    fileprivate init(columns: [Int]?) { self.columns = columns }

    /// Runs the clock from the first event of a range on, whose partition was entered.
    /// - Parameter batch: Nil if there are only computed times.
    func start(_ batch: EventBatch?, from first: Int) -> StreamClock {
        StreamClock(
            reached: times[current], passed: least, others: others,
            columns: batch.map { batch in (columns ?? []).map { batch.times($0) } } ?? [],
            from: first)
    }

    /// Takes over where the clock has come to.
    func stop(_ clock: StreamClock) { stop(reached: clock.reached) }

    func stop(reached: Int64) {
        let clock = StreamClock(
            reached: reached, passed: least, others: others, columns: [], from: 0)
        if reached > .min { times[current] = clock.time }
        least = clock.least
    }

    // MARK: Partitions

    /// Whether the log declares time partitions.
    var hasPartitions: Bool { times.count > 1 }

    fileprivate func set(_ times: [Int64], least: Int64) {
        self.times = times
        self.least = least
    }

    fileprivate func addPartition() { times.append(.min) }

    fileprivate func enter(_ partition: Int, others: Int64) {
        current = partition
        self.others = others
        // A partition whose events come, but have no time, does not hold the clock back any more.
        if times[partition] == .min, others < .max { least = max(least, others) }
    }

    fileprivate func move(_ partition: Int, to time: Int64) {
        times[partition] = max(times[partition], time, least)
    }

    /// Passes what all of these partitions have reached.
    fileprivate func pass(_ partitions: [Int]) {
        guard let reached = partitions.map({ times[$0] }).min() else { return }
        least = max(least, reached)
    }
}
