import CKappaJSON

/// Makes new elements from those of another stream, with a closure of the view.
final class TransformReader<Old, New>: MakingReader {
    typealias Element = New
    private let upstream: any ElementReader<Old>
    private let loop: ElementLoop<Old, New>
    /// Set if the closure is told which elements are late: those whose windows have closed when they come.
    private let judging: (bound: JoinBound, clock: StreamTimekeeper)?
    /// Whether each upstream element is late, by its number.
    private var isLate: [Bool] = []
    let made = ElementBuffer<New>()
    /// How many elements there were before the current reading.
    private var mark = 0

    init(
        _ upstream: any ElementReader<Old>,
        judging: (bound: JoinBound, clock: StreamTimekeeper)? = nil,
        _ loop: @escaping ElementLoop<Old, New>
    ) {
        self.upstream = upstream
        self.judging = judging
        self.loop = loop
    }

    var remembers: Bool { upstream.remembers }
    var timeColumns: [Int] { upstream.timeColumns }

    func load(_ batch: EventBatch) {
        judging?.clock.load(batch)
        upstream.load(batch)
        made.clear()
    }

    func read(_ range: Range<Int>) {
        list.begin()
        mark = list.count
        judging?.clock.pass(range)
        guard let new = upstream.readNew(range, adopting: list) else { return }
        let isLate = judge(new)
        upstream.forStructs(upstream.list.rows[new]) { structs, numbers in
            loop(structs, numbers, isLate, &made.sink)
        } failed: { number, error in
            made.sink.fail(number, error)
        }
        for (event, error) in made.takeOver(from: upstream.list, times: upstream.times) {
            fail(event, error)
        }
    }

    /// Which elements of the upstream are late, by their numbers; nil if lateness is not judged.
    private func judge(_ new: Range<Int>) -> [Bool]? {
        guard let judging else { return nil }
        let (rows, events) = (upstream.list.rows, upstream.list.events)
        isLate.removeAll(keepingCapacity: true)
        isLate.append(contentsOf: repeatElement(false, count: rows.count))
        guard let times = upstream.times else { return isLate }
        for number in new {
            let row = Int(rows[number])
            guard times.states[row] == UInt8(KJ_VALUE.rawValue) else { continue }
            let time = times.integers[row]
            let now = judging.clock.times(at: Int(events[number]), time).time
            if judging.bound.isPast(time, streamTime: now) { isLate[number] = true }
        }
        return isLate
    }

    func settle() {
        judging?.clock.settle()
        upstream.settle()
    }
    func undo() {
        made.truncate(to: mark)
        judging?.clock.undo()
        upstream.undo()
    }

    var times: kj_column? { upstream.times == nil ? nil : made.timeColumn }
}
