import Glibc

/// Appends NDJSON from files or pipes, batch by batch.
///
/// With a source, an import is repeatable: the files are one source, in their order, and events that the log
/// already holds are compared with it and skipped. An import that was killed can simply be run again.
package struct SourceImport {
    private let writer: LogWriter
    private let source: String?
    private let batchEvents: Int
    /// Compares what is skipped; nil without a source.
    private var proof: SourceProof?
    /// The name of the last input.
    private var lastInput = ""
    /// What has become of the events read so far.
    package private(set) var result = Result()

    package struct Result: Equatable, Sendable {
        package var appended = 0
        package var skipped = 0
        /// The offset of the first event that was appended; nil if none was.
        package var firstOffset: Offset?
        package var nextOffset = Offset.zero

        package init() {}
    }

    /// - Parameter batchEvents: The most events that are made durable together.
    /// - Throws: `.usage` for a name that no source can have, or one whose positions do not count events.
    package init(_ writer: LogWriter, source: String?, batchEvents: Int = .max) throws(KappaError) {
        self.writer = writer
        self.source = source
        self.batchEvents = max(1, batchEvents)
        guard let source else { return }
        let point = try writer.sourcePoint(of: source)
        // Earlier kappas took other names, too; such a source can be continued.
        if point == .start { try SourceBatch.check(name: source) }
        proof = try SourceProof(writer.folder, source, upTo: point)
    }

    /// Whether it ended because the input is not the source.
    package private(set) var isRefused = false

    /// Why all events of the source must be read to prove what is skipped; nil if they need not.
    package var notice: String? { proof?.notice }

    /// Reads a file descriptor to its end.
    /// - Parameters:
    ///   - name: The name of the input in errors.
    ///   - progress: Called after each batch, and while a pipe is idle, with the result so far; returning
    ///     false ends the import.
    /// - Returns: False if `progress` ended it.
    @discardableResult
    package mutating func run(
        _ input: Int32, name: String, progress: (Result) -> Bool = { _ in true }
    ) throws(KappaError) -> Bool {
        lastInput = name
        var line = 1
        var reader = try LineReader(input)
        while true {
            let delivery: LineReader.Delivery
            do { delivery = try reader.next() } catch {
                throw error.error("cannot read", at: name)
            }
            switch delivery {
            case .lines(let bytes):
                if try !append(bytes, &line, name, progress) { return false }
            // The caller may want to stop while a pipe delivers nothing.
            case .nothing: if !progress(result) { return false }
            case .end: return true
            }
        }
    }

    /// Ends the import after its last file.
    /// - Throws: `.badInput` if the log has more events of the source than were read.
    package mutating func finish() throws(KappaError) {
        do { try proof?.finish(lastInput) } catch {
            isRefused = true
            throw error
        }
    }

    private mutating func append(
        _ bytes: [UInt8], _ line: inout Int, _ name: String, _ progress: (Result) -> Bool
    ) throws(KappaError) -> Bool {
        var start = 0
        while start < bytes.count {
            let (stop, lines) = NDJSON.end(ofLines: batchEvents, in: bytes, from: start)
            let text = NDJSON.withoutMark(bytes, start..<stop, line)
            let batch = try NDJSON.events(bytes, text, line, name)
            if batch.count > 0 { try append(batch, bytes[text], name, line..<(line + lines)) }
            line += lines
            start = stop
            if !progress(result) { return false }
        }
        return true
    }

    /// Appends what the log does not have of a batch.
    private mutating func append(
        _ batch: EventLines, _ text: ArraySlice<UInt8>, _ name: String, _ lines: Range<Int>
    ) throws(KappaError) {
        guard let source, var proof else { return add(try writer.append(batch)) }
        self.proof = nil
        defer { self.proof = proof }
        while true {
            do { try proof.compare(batch, text, at: "\(name), line", lines) } catch {
                isRefused = true
                throw error
            }
            if proof.known >= proof.position + UInt64(batch.count) {
                result.skipped += batch.count
                break
            }
            let place = SourceBatch(name: source, position: proof.position, digest: proof.digest)
            do throws(KappaError) {
                add(try writer.append(batch, source: place))
                break
            } catch {
                // Another import of the source has been faster. The batch is compared with what it appended.
                let point = try writer.sourcePoint(of: source)
                guard point.position > proof.known else { throw error }
                try proof.update(point)
            }
        }
        proof.pass(batch)
    }

    private mutating func add(_ appended: LogWriter.AppendResult) {
        result.appended += appended.appended
        result.skipped += appended.skipped
        if appended.appended > 0, result.firstOffset == nil {
            result.firstOffset = appended.firstOffset
        }
        result.nextOffset = appended.nextOffset
    }
}
