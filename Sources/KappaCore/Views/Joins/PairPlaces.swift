import CKappaJSON

/// The pairs of a join by the places of their elements; cells are copied only as they are needed.
final class PairPlaces {
    let list = ElementList()
    private let halves: JoinHalves
    private let cells: [PairCells.Cell]
    private let lefts = PlainList<JoinPlace>()
    private let rights = PlainList<JoinPlace>()
    private let pairTimes = ComputedColumn(kind: .timestamp)
    /// The cells that were asked for as columns, and how many rows of them are filled.
    private var columns: [ComputedColumn?]
    private var filled: [Int]

    init(_ halves: JoinHalves, _ cells: [PairCells.Cell]) {
        self.halves = halves
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
            truncate(to: list.count(before: event))
        }
    }

    private func add(_ left: JoinPlace, _ right: JoinPlace, _ time: Int64, _ event: Int32) {
        let row = list.count
        lefts.append(left)
        rights.append(right)
        pairTimes.set(row, integer: time)
        list.append(row: row, event: event)
    }

    func truncate(to count: Int) {
        list.truncate(to: count)
        lefts.truncate(to: count)
        rights.truncate(to: count)
        for index in filled.indices { filled[index] = min(filled[index], count) }
    }

    var times: kj_column { pairTimes.column }

    /// Packs a pair's cells.
    func pack(_ row: Int, into builder: PackedRowBuilder) {
        builder.begin()
        for (index, cell) in cells.enumerated() {
            let (half, place) =
                cell.isLeft ? (halves.left, lefts[row]) : (halves.right, rights[row])
            half.set(index, of: builder, to: cell, at: place)
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
