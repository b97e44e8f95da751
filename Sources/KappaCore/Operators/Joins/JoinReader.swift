import CKappaJSON

/// Makes new elements of the pairs that each event completes, with a closure.
final class JoinReader<Left: ViewRow, Right: ViewRow, New>: MakingReader {
    typealias Element = New
    typealias Combine = @Sendable (Left, Right) throws -> New

    private let typed: TypedJoin<Left, Right>
    private let halves: JoinHalves
    private let isJoined: (@Sendable (Left, Right) throws -> Bool)?
    private let combine: Combine
    let made = ElementBuffer<New>()
    private let hasTime: Bool
    private var mark = 0

    init(
        _ join: InnerJoin<Left, Right>, where isJoined: (@Sendable (Left, Right) throws -> Bool)?,
        _ combine: @escaping Combine, _ context: any StreamContext
    ) throws(KappaError) {
        typed = try TypedJoin(join.left, join.right, join.bound, context)
        halves = typed.halves
        self.isJoined = isJoined
        self.combine = combine
        hasTime = join.hasTime
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
        let (left, right, met) = (typed.left, typed.right, halves.met)
        halves.readPairs(range, list) { index, event in
            try left.with(index) { mine in
                for other in met {
                    try right.withKept(other.number) {
                        try emit(mine.pointee, $0.pointee, other.time, event)
                    }
                }
            }
        } right: { index, event in
            try right.with(index) { mine in
                for other in met {
                    try left.withKept(other.number) {
                        try emit($0.pointee, mine.pointee, other.time, event)
                    }
                }
            }
        } undo: { event in
            made.truncate(to: list.count(before: event))
        }
    }

    func settle() { halves.settle() }
    func undo() {
        made.truncate(to: mark)
        halves.undo()
    }

    var times: kj_column? { hasTime ? made.timeColumn : nil }

    private func emit(_ a: Left, _ b: Right, _ time: Int64, _ event: Int32) throws {
        if let isJoined, try !isJoined(a, b) { return }
        let new = try combine(a, b)
        try DecimalOverflow.check()
        made.append(new, hasTime ? Timestamp(microseconds: time) : nil, event)
    }
}
