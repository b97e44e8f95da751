/// Merges the runs of a table in pieces, each a range of keys, so that several threads can share the work.
struct RunMerge {
    /// One run of the table: where its file is, and where some of its rows begin.
    struct Run {
        let file: String
        let marks: [Int]
    }

    private let schema: TableSchema
    private let runs: [Run]
    /// The keys at which all pieces but the last end, exclusive and in order.
    private var bounds: [PackedKey] = []
    /// Where reading begins, for each run and piece.
    private var starts: [[Int]]

    /// - Parameter pieces: About how many pieces to make. There is only one where marks are missing.
    init(_ runs: [Run], _ schema: TableSchema, pieces: Int) throws(KappaError) {
        self.runs = runs
        self.schema = schema
        starts = runs.map { _ in [0] }
        let longest = runs.indices.max { runs[$0].marks.count < runs[$1].marks.count }
        guard let longest, pieces > 1, runs.allSatisfy({ !$0.marks.isEmpty }) else { return }
        let probes = try runs.map { run throws(KappaError) in
            try RunCursor(run.file, schema, bufferBytes: Self.probeBytes)
        }
        let marks = runs[longest].marks
        let step = max(1, marks.count / pieces)
        for mark in stride(from: step, to: marks.count, by: step) {
            bounds.append(try probes[longest].key(at: marks[mark]))
        }
        for (run, probe) in probes.enumerated() {
            for bound in bounds {
                starts[run].append(try Self.start(runs[run].marks, probe, bound))
            }
        }
    }

    /// Enough for a row or two of most tables.
    private static let probeBytes = 1 << 12

    /// The last mark whose row does not sort after a bound; the first mark if all do.
    private static func start(
        _ marks: [Int], _ probe: RunCursor, _ bound: PackedKey
    ) throws(KappaError) -> Int {
        var (low, high) = (0, marks.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if try bound.isBefore(probe.key(at: marks[middle])) {
                high = middle
            } else {
                low = middle
            }
        }
        return marks[low]
    }

    var pieces: Int { bounds.count + 1 }

    /// Writes the rows of a piece in the order of their keys; `combine` merges those of one key.
    func write(
        _ piece: Int, to writer: BulkRow,
        combine: ([any RowCursor], any RowWriter) throws -> Void
    ) throws {
        let cursors = try runs.indices.map { run in
            try RunCursor(
                runs[run].file, schema, at: starts[run][piece],
                from: piece > 0 ? bounds[piece - 1] : nil,
                before: piece < bounds.count ? bounds[piece] : nil)
        }
        var heap = try RunHeap(cursors)
        var same: [Int] = []
        while let first = heap.first {
            if heap.hasTwoOfFirst {
                heap.takeFirstKey(into: &same)
                try combine(same.map { heap.cursor($0).row as any RowCursor }, writer)
                for run in same { try heap.advance(run) }
            } else {
                try writer.copy(heap.cursor(first).row.record, heap.cursor(first).key)
                try heap.advanceFirst()
            }
        }
    }
}

/// How runs are cut into pieces; tests make them small.
enum RunSizes {
    /// How many bytes of a run there are from one mark to the next, at least.
    @TaskLocal static var mark = 1 << 17
    /// How many bytes of all runs together make one piece.
    @TaskLocal static var piece = 1 << 23
}
