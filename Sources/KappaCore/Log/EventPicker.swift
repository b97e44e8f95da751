import Glibc

/// Reads single events of the log by their offsets. If the offsets ascend, each block is read once.
final class EventPicker {
    private let reader: LogReader
    private let buffer = BlockBuffer()
    private var block: LogBlock?
    /// How many events of the block come before `at`.
    private var passed = 0
    private var at = 0

    init(_ reader: LogReader) { self.reader = reader }

    /// One event of the log.
    struct Picked {
        /// Its JSON with the newline; valid until the next event is picked.
        var line: UnsafeRawBufferPointer
        /// When it was appended.
        var run: IngestionRun
    }

    /// The event at an offset.
    /// - Throws: `.damaged` if its block is damaged, or if the log does not hold the event.
    func event(at offset: Offset) throws(KappaError) -> Picked {
        let block = try block(of: offset)
        let index = offset - block.firstOffset
        if index < passed { (passed, at) = (0, 0) }
        while passed < index {
            at = try lineEnd(block, offset)
            passed += 1
        }
        let line = UnsafeRawBufferPointer(
            rebasing: block.payload[at..<(try lineEnd(block, offset))])
        var before = 0
        for run in block.runs {
            let own = index - before
            before += run.events
            if index < before { return Picked(line: line, run: run.part(own..<(own + 1))) }
        }
        throw Self.damage(offset)
    }

    private func block(of offset: Offset) throws(KappaError) -> LogBlock {
        if let block, (block.firstOffset..<block.nextOffset).contains(offset) { return block }
        block = nil
        (passed, at) = (0, 0)
        try reader.seek(toBlockOf: offset)
        guard let next = try reader.next(into: buffer), offset < next.nextOffset else {
            throw Self.damage(offset)
        }
        block = next
        return next
    }

    /// The index after the newline of the line that begins at `at`.
    private func lineEnd(_ block: LogBlock, _ offset: Offset) throws(KappaError) -> Int {
        let rest = block.payload.count - at
        guard rest > 0, let base = block.payload.baseAddress,
            let newline = memchr(base + at, 0x0A, rest)
        else { throw Self.damage(offset) }
        return UnsafeRawPointer(newline) - base + 1
    }

    private static func damage(_ offset: Offset) -> KappaError {
        KappaError(
            .damaged, "a block of the log does not hold the events that its header states",
            at: "offset \(offset)", advice: "Run `kappa log verify`")
    }
}
