import CKappaJSON

/// Makes new elements of those of another stream.
final class TransformReader<Old, New>: MakingReader {
    typealias Element = New
    private let upstream: any ElementReader<Old>
    private let transform: @Sendable (Old, (New) throws -> Void) throws -> Void
    let made = ElementBuffer<New>()
    /// How many elements there were before the last reading.
    private var mark = 0

    init(
        upstream: any ElementReader<Old>,
        transform: @escaping @Sendable (Old, (New) throws -> Void) throws -> Void
    ) {
        self.upstream = upstream
        self.transform = transform
    }

    var remembers: Bool { upstream.remembers }
    var timeColumns: [Int] { upstream.timeColumns }

    func load(_ batch: EventBatch) {
        upstream.load(batch)
        made.clear()
    }

    func read(_ range: Range<Int>) {
        list.begin()
        mark = list.count
        upstream.forNew(range, adopting: list) { event, rows in
            let count = list.count
            let old = upstream.list.rows
            let times = upstream.times
            do {
                for index in rows {
                    let row = Int(old[index])
                    let time = times.flatMap { $0.time(row) }
                    try upstream.with(row) { element in
                        try transform(element.pointee) { made.append($0, time, event) }
                    }
                }
            } catch {
                made.truncate(to: count)
                fail(event, error)
            }
        }
    }

    func settle() { upstream.settle() }
    func undo() {
        made.truncate(to: mark)
        upstream.undo()
    }

    var times: kj_column? { upstream.times == nil ? nil : made.timeColumn }
}

extension ElementReader {
    /// Reads a range and visits the new elements event by event; not at all if the reading is spoilt
    /// before.
    /// - Parameter list: Where it is noted what failed.
    func forNew(
        _ range: Range<Int>, adopting other: ElementList,
        _ body: (_ event: Int32, _ elements: Range<Int>) -> Void
    ) {
        let mark = list.count
        let failures = list.failures.count
        read(range)
        other.adoptFailures(of: list, from: failures)
        if list.isSpoilt { return }
        list.forEachEvent(mark..<list.count, body)
    }
}

extension ElementList {
    /// Visits elements event by event.
    func forEachEvent(
        _ elements: Range<Int>, _ body: (_ event: Int32, _ elements: Range<Int>) -> Void
    ) {
        var start = elements.lowerBound
        while start < elements.upperBound {
            let event = events[start]
            var end = start + 1
            while end < elements.upperBound, events[end] == event { end += 1 }
            body(event, start..<end)
            start = end
        }
    }
}

extension kj_column {
    /// The time in a row.
    func time(_ row: Int) -> Timestamp? {
        states[row] == UInt8(KJ_VALUE.rawValue) ? Timestamp(microseconds: integers[row]) : nil
    }
}
