import Testing

@testable import KappaCore

/// Lines of events as a block of the log holds them, extracted for a plan.
final class EventsBlock {
    let batch: EventBatch
    private let memory: UnsafeMutableRawBufferPointer

    init(_ lines: [String], plan: ExtractionPlan) throws {
        let bytes = Array((lines.joined(separator: "\n") + "\n").utf8)
        memory = .allocate(byteCount: bytes.count + EventBatch.padding, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0x20)
        memory.copyBytes(from: bytes)
        batch = EventBatch(plan: plan)
        try batch.load(
            UnsafeRawBufferPointer(rebasing: memory[..<bytes.count]), count: lines.count,
            firstOffset: .zero)
    }

    deinit { memory.deallocate() }

    /// A reader's result for each event: an event, a reason, or nil if it is of another type.
    static func read<E: Event & Equatable>(
        _ type: E.Type, _ lines: [String], plan: ExtractionPlan = ExtractionPlan()
    ) throws -> [Result<E, Refusal>?] {
        let reader = try EventReader<E>(plan: plan, clocks: TimeZoneDatabase.clock)
        let block = try EventsBlock(lines, plan: plan)
        return withExtendedLifetime(block) {
            reader.load(block.batch)
            var selection: [Int32] = []
            reader.select(0..<lines.count, into: &selection)
            var results = [Result<E, Refusal>?](repeating: nil, count: lines.count)
            for row in selection {
                results[Int(row)] = refusal { try reader.decode(Int(row)) }
                // A struct that is assembled in memory equals the one that the decoder makes.
                let direct: Result<E, Refusal> = refusal {
                    var event: E?
                    try reader.with(Int(row)) { event = $0.pointee }
                    return try #require(event)
                }
                #expect(direct == results[Int(row)])
            }
            return results
        }
    }

    /// The slow path's result for one event.
    static func readSlowly<E: Event>(_ type: E.Type, _ line: String) -> Result<E, Refusal> {
        refusal {
            let times = try TimeRules(E.self, TimeZoneDatabase.clock)
            return try ValueDecoder(JSONValue(parsing: line), times: times).decode(E.self)
        }
    }

    private static func refusal<E>(_ body: () throws -> E) -> Result<E, Refusal> {
        do { return .success(try body()) } catch {
            return .failure(Refusal(reason: FieldFailure.reason(error)))
        }
    }

    struct Refusal: Error, Equatable { let reason: String }
}
