import Glibc
import KappaCore
import Views

/// Measures replays of a log into views.
struct ReplayBench {
    private let input: BenchInput

    init(_ input: BenchInput) { self.input = input }

    /// The floor: only extracts the views' fields, with simdjson, from blocks that are already in memory.
    func floor(of views: [any AnyView]) throws -> Figures {
        let plan = ExtractionPlan(checksAgain: true)
        for definition in try ViewSet(views, digests: sampleViews.digests).definitions() {
            _ = try VersionMaterializer(
                definition, store: NoStore(), plan: plan, budgetBytes: 1 << 20)
        }
        let batch = EventBatch(plan: plan)
        let reader = try LogReader(input.folder.log)
        var figures = Figures(events: 0)
        // Read some blocks at a time and measure afterwards, so that reading the disk does not count.
        var blocks: [(BlockBuffer, LogBlock)] = []
        var isAtEnd = false
        while !isAtEnd {
            blocks.removeAll()
            while blocks.count < 64 {
                let buffer = BlockBuffer()
                guard let block = try reader.next(into: buffer) else {
                    isAtEnd = true
                    break
                }
                blocks.append((buffer, block))
            }
            let events = blocks.reduce(0) { $0 + $1.1.events }
            let bytes = blocks.reduce(0) { $0 + $1.1.payload.count }
            let part = try Figures.of(events: events, bytes: bytes) {
                for (_, block) in blocks {
                    try batch.load(
                        block.payload, count: block.events, firstOffset: block.firstOffset)
                }
                return 0
            }
            figures.events += events
            figures.bytes += bytes
            figures.seconds += part.seconds
            figures.processorSeconds += part.processorSeconds
            figures.peakMiB = part.peakMiB
        }
        return figures
    }

    /// Replays from offset zero until the versions are live.
    func replay(_ views: [any AnyView], _ memoryBytes: Int) throws -> Figures {
        let scratch = try input.scratch()
        defer { Folder.remove(scratch.path) }
        return try Figures.of(events: input.events, bytes: try bytes()) {
            try run(views, in: scratch) { $0.memoryBytes = memoryBytes }
            return try rows(scratch)
        }
    }

    /// Replays only the second half, from a checkpoint in the middle.
    func resume(_ views: [any AnyView]) throws -> Figures {
        let scratch = try input.scratch()
        defer { Folder.remove(scratch.path) }
        let middle = Offset(UInt64(input.events / 2))
        try run(views, in: scratch) {
            $0.end = middle
            $0.promotes = false
        }
        return try Figures.of(
            events: input.events - input.events / 2, bytes: try bytes() / 2
        ) {
            try run(views, in: scratch) { _ in }
            return try rows(scratch)
        }
    }

    private func run(
        _ views: [any AnyView], in folder: DataFolder,
        _ change: (inout ViewRunner.Options) -> Void
    ) throws {
        var options = ViewRunner.Options()
        options.follows = false
        change(&options)
        try ViewRunner(folder, ViewSet(views, digests: sampleViews.digests), options: options).run()
    }

    private func rows(_ folder: DataFolder) throws -> Int {
        try Catalog(folder).entries().reduce(0) { sum, entry in
            try sum + VersionReader(folder.file(entry.id)).rowCount(table: 0)
        }
    }

    private func bytes() throws -> Int {
        var status = stat()
        return stat(input.ndjson, &status) == 0 ? Int(status.st_size) : 0
    }
}

/// A store without rows, to register a view's fields only.
private final class NoStore: RowStore {
    func lastCheckpoint() -> Checkpoint? { nil }
    func lookUp(
        table: Int, bindKey: (any RowWriter) -> Void, read: (any RowCursor) throws -> Void
    ) -> Bool { false }
    func scan(
        table: Int, prefix parts: Int, bindKey: (any RowWriter) -> Void,
        _ visit: (any RowCursor) throws -> Void
    ) {}
    func scan(table: Int, _ visit: (any RowCursor) throws -> Void) {}
    func rowsEnded(table: Int, by end: Int64) -> [[Value]] { [] }
    func rowCount(table: Int) -> Int { 0 }
    func commit(
        _ checkpoint: Checkpoint, recordsChanges: Bool,
        write: (any StoreTransaction) throws -> Void
    ) {}
    var canSpill: Bool { false }
    func spill(_ checkpoint: Checkpoint, write: (any StoreTransaction) throws -> Void) {}
    var spilled: (any SpilledRows)? { nil }
}
