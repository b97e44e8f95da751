/// Standard input, or another pipe, as a source. It always begins with the first event of the source: those that the
/// log has are compared with it, and not delivered.
package final class InputSource: EventSource {
    private let input: Int32
    private let name: String
    private let origin: String
    private var reader: LineReader?
    private var proof: SourceProof?
    private var position: UInt64 = 0
    private var line = 1

    /// - Parameters:
    ///   - input: A descriptor that stays open for as long as the source is used.
    ///   - name: The name of the source in the log.
    ///   - origin: The name of the input in errors.
    package init(_ input: Int32, name: String, origin: String = "standard input") {
        self.input = input
        self.name = name
        self.origin = origin
    }

    package var partitions: [String] { [name] }

    package func open(_ histories: [SourceHistory], following: Bool) throws(KappaError) {
        guard let history = histories.first else { return }
        proof = try SourceProof(history.log, name, upTo: history.point)
        reader = try LineReader(input)
    }

    package func next(waitingAtMost wait: Duration) throws(KappaError) -> SourceDelivery {
        let deadline = ContinuousClock.now + wait
        while true {
            let delivery: LineReader.Delivery?
            do { delivery = try reader?.next() } catch {
                throw error.error("cannot read", at: origin)
            }
            switch delivery {
            case .lines(let lines):
                if let batch = try batch(of: lines) { return .batch(batch) }
            case .nothing: if ContinuousClock.now >= deadline { return .nothing }
            case .end:
                reader = nil
                try proof?.finish(origin)
            case nil: return .end
            }
        }
    }

    package func lag(of partition: String) -> UInt64? { reader == nil ? 0 : nil }

    package func close() { reader = nil }

    /// What the log does not have of some lines; nil if it has all of them.
    private func batch(of all: [UInt8]) throws(KappaError) -> SourceLines? {
        var bytes = all
        let range = NDJSON.withoutMark(bytes, 0..<bytes.count, line)
        if range.lowerBound > 0 { bytes.removeFirst(range.lowerBound) }
        try passKnown(&bytes)
        let new = NDJSON.end(ofEvents: .max, in: bytes)
        let (first, before) = (line, position)
        line += new.lines
        position += UInt64(new.events)
        if new.events == 0 { return nil }
        return SourceLines(
            partition: name, position: before, next: position, lines: bytes, origin: origin,
            firstLine: first)
    }

    /// Compares the events that the log has with it, and removes them.
    private func passKnown(_ bytes: inout [UInt8]) throws(KappaError) {
        guard var proof, proof.position < proof.known else { return }
        self.proof = nil
        defer { self.proof = proof }
        let known = NDJSON.end(
            ofEvents: Int(clamping: proof.known - proof.position), in: bytes)
        let events = NDJSON.unchecked(Array(bytes[..<known.end]))
        let lines = line..<(line + known.lines)
        try proof.compare(events, bytes[..<known.end], at: "\(origin), line", lines)
        proof.pass(events)
        bytes.removeFirst(known.end)
        line += known.lines
        position = proof.position
    }
}
