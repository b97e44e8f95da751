import Glibc

/// Appends NDJSON from a file or a pipe, batch by batch.
///
/// With a source, an import is repeatable: events that the log already holds, by their position in the
/// source, are skipped. An import that was killed can simply be run again.
package struct SourceImport {
    private let writer: LogWriter
    private let source: String?
    private let batchEvents: Int

    package struct Result: Equatable, Sendable {
        package var appended = 0
        package var skipped = 0
        /// The offset of the first event that was appended; nil if none was.
        package var firstOffset: Offset?
        package var nextOffset = Offset.zero

        package init() {}

        /// Adds the result of a later import.
        package mutating func add(_ later: Result) {
            appended += later.appended
            skipped += later.skipped
            firstOffset = firstOffset ?? later.firstOffset
            nextOffset = later.nextOffset
        }
    }

    /// - Parameter batchEvents: The most events that are made durable together.
    package init(_ writer: LogWriter, source: String?, batchEvents: Int = .max) throws(KappaError) {
        if let source {
            let bytes = source.utf8
            guard (1...200).contains(bytes.count), !bytes.contains(where: { $0 < 0x20 }) else {
                throw KappaError(
                    .usage, "\"\(source)\" cannot name a source",
                    because: "a name has 1 to 200 bytes and no control characters",
                    advice: "Choose another name with --source")
            }
        }
        self.writer = writer
        self.source = source
        self.batchEvents = max(1, batchEvents)
    }

    /// Reads a file descriptor to its end.
    /// - Parameters:
    ///   - start: How many events of the source come before this file.
    ///   - name: The name of the input in errors.
    ///   - progress: Called after each batch, and while a pipe is idle, with the result so far; returning
    ///     false ends the import. It is also called before an error is thrown, with what is durable by then.
    /// - Returns: What was appended, and the source's position where the import ended: `start` and the events
    ///   that were read.
    package func run(
        _ input: Int32, from start: UInt64 = 0, name: String,
        progress: (Result) -> Bool = { _ in true }
    ) throws(KappaError) -> (result: Result, events: UInt64) {
        var result = Result()
        var held: [UInt8] = []
        var line = 1
        var position = start
        let known = try source.map { (name) throws(KappaError) in
            try writer.sourcePosition(of: name)
        }
        let reader = try InputReader(input)
        while true {
            let delivery: InputReader.Delivery
            do { delivery = try reader.next() } catch {
                throw error.error("cannot read", at: name)
            }
            var end = 0
            switch delivery {
            case .bytes(let bytes):
                // The bytes held over from before have no newline.
                end = bytes.lastIndex(of: 0x0A).map { held.count + $0 + 1 } ?? 0
                held += bytes
            case .nothing: break
            case .end: end = held.count
            }
            if end > 0 {
                do throws(KappaError) {
                    try append(held, end, &line, &position, known ?? 0, name, &result)
                } catch {
                    _ = progress(result)
                    throw error
                }
                held.removeFirst(end)
            }
            let isEnd = if case .end = delivery { true } else { false }
            // The caller may want to stop while a pipe delivers nothing.
            if !progress(result) || isEnd { return (result, position) }
        }
    }

    private func append(
        _ bytes: [UInt8], _ end: Int, _ line: inout Int, _ position: inout UInt64,
        _ known: UInt64, _ name: String, _ result: inout Result
    ) throws(KappaError) {
        var start = 0
        while start < end {
            let (stop, lines) = Self.batchEnd(bytes, start, end, batchEvents)
            let batch = try Self.lines(bytes, start..<stop, line, name)
            line += lines
            let first = position
            position += UInt64(batch.count)
            start = stop
            if batch.count == 0 { continue }
            if source != nil, position <= known {
                result.skipped += batch.count
                continue
            }
            let appended = try writer.append(
                batch, source: source.map { .init(name: $0, position: first) })
            result.appended += appended.appended
            result.skipped += appended.skipped
            if appended.appended > 0, result.firstOffset == nil {
                result.firstOffset = appended.firstOffset
            }
            result.nextOffset = appended.nextOffset
        }
    }

    /// Where a batch of at most `events` lines ends, and how many lines it has.
    private static func batchEnd(
        _ bytes: [UInt8], _ start: Int, _ end: Int, _ events: Int
    ) -> (Int, Int) {
        bytes.withUnsafeBytes { all in
            guard let base = all.baseAddress else { return (end, 0) }
            var at = start
            var lines = 0
            while at < end, lines < events {
                lines += 1
                guard let newline = memchr(base + at, 0x0A, end - at) else { return (end, lines) }
                at = UnsafeRawPointer(newline) - base + 1
            }
            return (at, lines)
        }
    }

    private static func lines(
        _ bytes: [UInt8], _ range: Range<Int>, _ firstLine: Int, _ name: String
    ) throws(KappaError) -> EventLines {
        var result = EventLines()
        var failure: KappaError?
        bytes.withUnsafeBytes { all in
            var text = UnsafeRawBufferPointer(rebasing: all[range])
            // The input may begin with a byte-order mark.
            if firstLine == 1, text.starts(with: [0xEF, 0xBB, 0xBF]) {
                text = UnsafeRawBufferPointer(rebasing: text[3...])
            }
            do throws(KappaError) {
                result = try EventLines(text, firstLine: firstLine)
            } catch { failure = error }
        }
        if var failure {
            failure.place = failure.place.map { "\(name), \($0)" }
            throw failure
        }
        return result
    }
}

/// Reads a file or a pipe ahead on its own thread: while one batch is made durable, the next one arrives. A
/// batch is whatever has arrived when the next one is requested.
final class InputReader: Sendable {
    private struct State {
        var bytes: [UInt8] = []
        var isEnded = false
        var failure: IOFailure?
        var isCancelled = false
        /// Counts the polls in which nothing arrived.
        var idleMoments = 0
    }

    enum Delivery {
        case bytes([UInt8])
        /// Nothing has arrived for a moment; more may.
        case nothing
        case end
    }

    private let state = Monitor(State())
    private let thread: WorkerThread

    private static let mostBytes = 8 << 20
    private static let readBytes = 1 << 20
    private static let idleMilliseconds: Int32 = 200

    init(_ input: Int32) throws(KappaError) {
        let state = state
        thread = try WorkerThread("kappa-input") {
            var chunk = [UInt8](repeating: 0, count: Self.readBytes)
            while Self.step(input, &chunk, state) {}
        }
    }

    deinit { state.withLock { $0.isCancelled = true } }

    /// Reads once; false at the end.
    private static func step(
        _ input: Int32, _ chunk: inout [UInt8], _ state: Monitor<State>
    ) -> Bool {
        let mayRead = state.wait { state -> Bool? in
            if state.isCancelled { return false }
            return state.bytes.count < mostBytes ? true : nil
        }
        guard mayRead else { return false }
        var wanted = pollfd(fd: input, events: Int16(POLLIN), revents: 0)
        guard poll(&wanted, 1, idleMilliseconds) != 0 else {
            state.withLock { $0.idleMoments += 1 }
            return true
        }
        let count = Glibc.read(input, &chunk, chunk.count)
        let number = errno
        if count < 0, number == EINTR { return true }
        state.withLock { state in
            if count > 0 { state.bytes += chunk[0..<count] }
            if count < 0 { state.failure = IOFailure("read", number) }
            state.isEnded = count <= 0
        }
        return count > 0
    }

    /// Waits for input, and returns what has arrived since the last call.
    func next() throws(IOFailure) -> Delivery {
        let before = state.withLock { $0.idleMoments }
        let (delivery, failure) = state.wait { state -> (Delivery, IOFailure?)? in
            if !state.bytes.isEmpty {
                defer { state.bytes = [] }
                return (.bytes(state.bytes), nil)
            }
            if state.isEnded { return (.end, state.failure) }
            return state.idleMoments != before ? (.nothing, nil) : nil
        }
        if let failure { throw failure }
        return delivery
    }
}
