import CKappaJSON

/// Makes the pairs that each event completes.
final class JoinReader<Left: ViewRow, Right: ViewRow, New>: MakingReader {
    typealias Element = New

    private let join: InnerJoin<Left, Right, New>
    private let halves: JoinHalves<Left, Right>
    let made = ElementBuffer<New>()
    private let hasTime: Bool
    private var mark = 0

    init(
        _ join: InnerJoin<Left, Right, New>, _ context: any StreamContext
    ) throws(KappaError) {
        self.join = join
        halves = try JoinHalves(join.left, join.right, join.bound, context)
        hasTime = join.left.source.hasTime && join.right.source.hasTime
    }

    var remembers: Bool { true }
    var timeColumns: [Int] { halves.timeColumns }

    func load(_ batch: EventBatch) {
        halves.load(batch)
        made.clear()
    }

    func read(_ range: Range<Int>) {
        list.begin()
        mark = list.count
        var count = mark
        halves.read(range, list) { event in
            count = list.count
        } left: { index, meta in
            try meet(index, meta, event: halves.left.list.events[index])
        } right: { index, meta in
            try meet(right: index, meta, event: halves.right.list.events[index])
        } undo: { _ in
            made.truncate(to: count)
        }
    }

    func settle() { halves.settle() }
    func undo() {
        made.truncate(to: mark)
        halves.undo()
    }

    var times: kj_column? { hasTime ? made.timeColumn : nil }

    /// Lets a new element of the left side meet those of the right, and keeps it for those to come.
    private func meet(_ index: Int, _ meta: JoinMeta, event: Int32) throws {
        let (left, right) = (halves.left, halves.right)
        let hasMet = try halves.meet(index, meta, left, right) { element, number, time in
            try right.withKept(number) { other in
                try emit(element.pointee, other.pointee, time, event)
            }
        }
        // What is alone on the other side, and has been met, is all that I could wait for.
        if hasMet, right.isUnique { return }
        try left.keep(index, meta)
    }

    private func meet(right index: Int, _ meta: JoinMeta, event: Int32) throws {
        let (left, right) = (halves.left, halves.right)
        let hasMet = try halves.meet(index, meta, right, left) { element, number, time in
            try left.withKept(number) { other in
                try emit(other.pointee, element.pointee, time, event)
            }
        }
        if hasMet, left.isUnique { return }
        try right.keep(index, meta)
    }

    private func emit(_ a: Left, _ b: Right, _ time: Int64, _ event: Int32) throws {
        if let isJoined = join.isJoined, try !isJoined(a, b) { return }
        made.append(
            try join.combine(a, b), hasTime ? Timestamp(microseconds: time) : nil, event)
    }
}
