import CKappaJSON

/// Makes new elements of those of another stream, with a closure of the view.
final class TransformReader<Old, New>: MakingReader {
    typealias Element = New
    private let upstream: any ElementReader<Old>
    private let loop: ElementLoop<Old, New>
    /// Where the closure is told which elements are late.
    private let judge: LatenessJudge?
    let made = ElementBuffer<New>()
    /// How many elements there were before the last reading.
    private var mark = 0

    init(
        _ upstream: any ElementReader<Old>, judge: LatenessJudge? = nil,
        _ loop: @escaping ElementLoop<Old, New>
    ) {
        self.upstream = upstream
        self.judge = judge
        self.loop = loop
    }

    var remembers: Bool { upstream.remembers }
    var timeColumns: [Int] { upstream.timeColumns }

    func load(_ batch: EventBatch) {
        judge?.load(batch)
        upstream.load(batch)
        made.clear()
    }

    func read(_ range: Range<Int>) {
        list.begin()
        mark = list.count
        judge?.pass(range)
        guard let new = upstream.readNew(range, adopting: list) else { return }
        let isLate = judge?.judge(upstream.list, from: new.lowerBound, times: upstream.times)
        upstream.forStructs(upstream.list.rows[new]) { structs, numbers in
            loop(structs, numbers, isLate, &made.sink)
        } failed: { number, error in
            made.sink.fail(number, error)
        }
        for (event, error) in made.takeOver(from: upstream.list, times: upstream.times) {
            fail(event, error)
        }
    }

    func settle() { upstream.settle() }
    func undo() {
        made.truncate(to: mark)
        judge?.undo()
        upstream.undo()
    }

    var times: kj_column? { upstream.times == nil ? nil : made.timeColumn }
}
