import CKappaJSON

/// The pairs of a join by the places of their elements; cells are copied only as they are needed.
final class PairPlaces {
    let list = ElementList()
    private let halves: JoinHalves
    private let cells: [PairCells.Cell]
    private let lefts = PlainList<JoinPlace>()
    private let rights = PlainList<JoinPlace>()
    /// The event that completed each pair; those of the reading at hand are not in the list yet.
    private let events = PlainList<Int32>()
    /// The time of each pair, where there are times.
    private let pairTimes: ComputedColumn?
    /// The cells that were asked for as columns, and how many rows of them are filled.
    private var columns: [ComputedColumn?]
    private var filled: [Int]

    init(_ halves: JoinHalves, _ cells: [PairCells.Cell], hasTimes: Bool) {
        self.halves = halves
        pairTimes = hasTimes ? ComputedColumn(kind: .timestamp) : nil
        self.cells = cells
        columns = Array(repeating: nil, count: cells.count)
        filled = Array(repeating: 0, count: cells.count)
    }

    /// A batch is loaded.
    func clear() {
        truncate(to: 0)
        list.clear()
        for column in columns { column?.clear() }
    }

    /// Reads a range of events and appends the pairs that they complete.
    func read(_ range: Range<Int>) {
        let (left, right, met) = (halves.left, halves.right, halves.met)
        halves.readPairs(range, list) { index, event in
            let mine = try left.place(index)
            for other in met {
                add(mine, right.place(kept: other.number), other.time, event)
            }
        } right: { index, event in
            let mine = try right.place(index)
            for other in met {
                add(left.place(kept: other.number), mine, other.time, event)
            }
        } undo: { event in
            truncate(to: events.count(before: event))
        }
        list.append(rows: list.count..<events.count, of: events)
    }

    private func add(_ left: JoinPlace, _ right: JoinPlace, _ time: Int64, _ event: Int32) {
        pairTimes?.set(events.count, integer: time)
        lefts.append(left)
        rights.append(right)
        events.append(event)
    }

    func truncate(to count: Int) {
        list.truncate(to: count)
        events.truncate(to: count)
        lefts.truncate(to: count)
        rights.truncate(to: count)
        for index in filled.indices { filled[index] = min(filled[index], count) }
    }

    var times: kj_column? { pairTimes?.column }

    /// Binds a pair's cells, the first at index `first`.
    @inline(__always)
    func bind(_ row: Int, to writer: some RowWriter, at first: Int = 0) {
        let (left, right) = (lefts[row], rights[row])
        for index in cells.indices {
            let cell = cells[index]
            if cell.isLeft {
                halves.left.bind(cell, at: left, to: writer, first + index)
            } else {
                halves.right.bind(cell, at: right, to: writer, first + index)
            }
        }
    }

    func column(_ index: Int) -> kj_column {
        let cell = cells[index]
        let column = columns[index] ?? ComputedColumn(kind: cell.kind)
        columns[index] = column
        let missing = filled[index]..<list.count
        let (half, places) = cell.isLeft ? (halves.left, lefts) : (halves.right, rights)
        half.fill(column, missing, with: cell, at: places)
        filled[index] = list.count
        return column.column
    }
}
