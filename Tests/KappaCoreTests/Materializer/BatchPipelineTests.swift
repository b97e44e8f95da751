import KappaTesting
import Testing

@testable import KappaCore

@Suite("Reading ahead of the applying thread")
struct BatchPipelineTests {
    private static func append(_ numbers: Range<Int>, to writer: LogWriter) throws {
        var batch = EventLines()
        for number in numbers { batch.append(try EventLines(event: #"{"n":\#(number)}"#)) }
        _ = try writer.append(batch)
    }

    /// Takes deliveries until one is not a batch; returns the numbers of the events.
    private static func take(
        _ pipeline: BatchPipeline, _ column: Int, into numbers: inout [Int64]
    ) -> BatchPipeline.Delivery {
        while true {
            let delivery = pipeline.next()
            guard case .batch(let slot) = delivery else { return delivery }
            let column = slot.batch.columns[column]
            for row in 0..<slot.batch.count { numbers.append(column.integers[row]) }
            pipeline.recycle(slot)
        }
    }

    @Test("events come in log order, up to the requested end")
    func order() throws {
        let folder = try TemporaryFolder()
        let writer = try LogWriter(folder.path)
        try Self.append(0..<5_000, to: writer)
        for end in [nil, 1, 777, 5_000] as [Int?] {
            let plan = ExtractionPlan()
            let column = plan.column(at: ["n"], .integer)
            let pipeline = try BatchPipeline(
                LogReader(folder.path), plan: plan, upTo: end.map { Offset(UInt64($0)) },
                batchEvents: 7, waits: false)
            var numbers: [Int64] = []
            let last = Self.take(pipeline, column, into: &numbers)
            #expect(numbers == (0..<Int64(end ?? 5_000)).map { $0 })
            if case .caughtUp(let offset) = last {
                #expect(end == nil && offset == Offset(5_000))
                guard case .ended = pipeline.next() else {
                    Issue.record("reading goes on behind the end")
                    return
                }
            } else if case .ended = last {
                #expect(end != nil)
            } else {
                Issue.record("there is no end at \(String(describing: end)): \(last)")
            }
            pipeline.stop()
        }
    }

    @Test("it waits at the durable end, continues with new appends, and ends when stopped")
    func waits() throws {
        let folder = try TemporaryFolder()
        let writer = try LogWriter(folder.path)
        try Self.append(0..<10, to: writer)
        let plan = ExtractionPlan()
        let column = plan.column(at: ["n"], .integer)
        let pipeline = try BatchPipeline(
            LogReader(folder.path), plan: plan, upTo: nil, waits: true)
        var numbers: [Int64] = []
        for round in 1...20 {
            while numbers.count < round * 10 {
                guard case .caughtUp = Self.take(pipeline, column, into: &numbers) else {
                    Issue.record("it does not wait")
                    return
                }
            }
            try Self.append((round * 10)..<(round * 10 + 10), to: writer)
        }
        pipeline.stopper()
        while true {
            if case .ended = Self.take(pipeline, column, into: &numbers) { break }
        }
        pipeline.stop()
        #expect(numbers == (0..<Int64(numbers.count)).map { $0 })
    }

    @Test("a stop in between loses no delivered event")
    func stops() throws {
        let folder = try TemporaryFolder()
        let writer = try LogWriter(folder.path)
        try Self.append(0..<2_000, to: writer)
        for taken in 0..<20 {
            let plan = ExtractionPlan()
            let column = plan.column(at: ["n"], .integer)
            let pipeline = try BatchPipeline(
                LogReader(folder.path), plan: plan, upTo: nil, batchEvents: 10, waits: true)
            var numbers: [Int64] = []
            for _ in 0..<taken {
                guard case .batch(let slot) = pipeline.next() else { break }
                let column = slot.batch.columns[column]
                for row in 0..<slot.batch.count { numbers.append(column.integers[row]) }
                pipeline.recycle(slot)
            }
            pipeline.stopper()
            guard case .ended = Self.take(pipeline, column, into: &numbers) else {
                Issue.record("it does not end")
                return
            }
            #expect(numbers.count >= 10 * taken)
            #expect(numbers == (0..<Int64(numbers.count)).map { $0 })
            pipeline.stop()
        }
    }
}
