/// A batch of one event of the log.
final class SingleEvent {
    let batch: EventBatch
    private let buffer = BlockBuffer(capacity: 1 << 12)

    init(_ plan: ExtractionPlan) { batch = EventBatch(plan: plan) }

    /// - Parameter bytes: The event's JSON, with or without a newline.
    func load(
        _ bytes: UnsafeRawBufferPointer, at offset: Offset, _ runs: [IngestionRun]
    ) throws {
        buffer.reserve(bytes.count + 1, keeping: 0)
        let line = buffer.slice(0..<(bytes.count + 1))
        line.copyBytes(from: bytes)
        line[bytes.count] = 0x0A
        try batch.load(
            buffer.payload(0..<(bytes.count + 1)), count: 1,
            firstOffset: offset, runs: runs)
    }
}
