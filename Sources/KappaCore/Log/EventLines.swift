import CKappaJSON
import Glibc

/// Events to be appended: newline-ended JSON objects, one on each line.
package struct EventLines: Sendable {
    /// The lines, each with its newline.
    private(set) var bytes: [UInt8] = []
    package private(set) var count = 0

    package init() {}

    /// Takes lines from NDJSON text. Blank lines are skipped, and the last line may lack its newline.
    /// - Parameter firstLine: The number of the text's first line, for errors.
    /// - Throws: `.badInput` with line and column if a line is not one JSON object.
    package init(_ text: UnsafeRawBufferPointer, firstLine: Int = 1) throws(KappaError) {
        try Self.validate(text, firstLine: firstLine)
        self.init(unchecked: text)
    }

    /// Takes lines that are only compared with what the log has, or that it had already.
    init(unchecked text: UnsafeRawBufferPointer) {
        bytes.reserveCapacity(text.count + 1)
        Self.forEachLine(text) { line, _ in
            if Self.isBlank(line) { return }
            bytes.append(contentsOf: line)
            bytes.append(0x0A)
            count += 1
        }
    }

    /// Takes one event, which may span several lines.
    package init(event: String) throws(KappaError) {
        let isNewline = { (byte: UInt8) in byte == 0x0A || byte == 0x0D }
        var text = Array(event.utf8)
        if text.contains(where: isNewline) {
            if let flaw = text.withUnsafeBytes({ JSONValidator.flaw(in: $0) }) {
                throw KappaError(
                    .badInput, "the event is not a JSON object", at: "byte \(flaw.column)",
                    because: flaw.reason, advice: "Nothing was appended")
            }
            // In JSON a raw newline can only occur between tokens, where a space means the same.
            for index in text.indices where isNewline(text[index]) { text[index] = 0x20 }
        }
        try self.init(text)
    }

    private init(_ flat: [UInt8]) throws(KappaError) {
        var failure: KappaError?
        var lines = EventLines()
        flat.withUnsafeBytes { bytes in
            do throws(KappaError) { lines = try EventLines(bytes) } catch { failure = error }
        }
        if let failure { throw failure }
        self = lines
    }

    package mutating func append(_ other: EventLines) {
        bytes += other.bytes
        count += other.count
    }

    /// Drops the first events.
    mutating func removeFirst(_ events: Int) {
        guard events > 0 else { return }
        bytes.removeFirst(end(of: events))
        count -= min(events, count)
    }

    /// Takes the first events out, at most so many.
    mutating func removeFirst(upTo most: Int) -> EventLines {
        if most >= count {
            defer { self = EventLines() }
            return self
        }
        var first = EventLines()
        first.bytes = Array(bytes[..<end(of: most)])
        first.count = most
        removeFirst(most)
        return first
    }

    /// The digest of the first events, and of what comes before them.
    func digest(ofFirst events: Int, after before: LogDigest) -> LogDigest {
        let end = end(of: events)
        return bytes.withUnsafeBytes { before.appending(.init(rebasing: $0[..<end])) }
    }

    /// CRC32C of a range of the lines' bytes.
    func crc(of range: Range<Int>) -> UInt32 {
        bytes.withUnsafeBytes { crc32c(.init(rebasing: $0[range])) }
    }

    /// Where the first events end.
    private func end(of events: Int) -> Int {
        if events >= count { return bytes.count }
        return bytes.withUnsafeBytes { all in
            var at = 0
            for _ in 0..<events {
                guard let base = all.baseAddress,
                    let newline = memchr(base + at, 0x0A, all.count - at)
                else { return all.count }
                at = UnsafeRawPointer(newline) - base + 1
            }
            return at
        }
    }

    /// Splits the lines into pieces of about `size` bytes, at least one event each.
    func pieces(of size: Int) -> [(range: Range<Int>, events: Int)] {
        if bytes.count <= size { return bytes.isEmpty ? [] : [(0..<bytes.count, count)] }
        var pieces: [(Range<Int>, Int)] = []
        bytes.withUnsafeBytes { all in
            var start = 0
            var at = 0
            var events = 0
            while at < all.count, let base = all.baseAddress,
                let newline = memchr(base + at, 0x0A, all.count - at)
            {
                let next = UnsafeRawPointer(newline) - base + 1
                if next - start > size, events > 0 {
                    pieces.append((start..<at, events))
                    start = at
                    events = 0
                }
                events += 1
                at = next
            }
            if events > 0 { pieces.append((start..<at, events)) }
        }
        return pieces
    }

    // MARK: Lines

    /// Visits each line, without its newline and the carriage returns before it, and its number, counted from zero.
    static func forEachLine(
        _ text: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer, Int) -> Void
    ) {
        var at = 0
        var number = 0
        while at < text.count, let base = text.baseAddress {
            let newline = memchr(base + at, 0x0A, text.count - at)
            let end = newline.map { UnsafeRawPointer($0) - base } ?? text.count
            var last = end
            while last > at, text[last - 1] == 0x0D { last -= 1 }
            body(UnsafeRawBufferPointer(rebasing: text[at..<last]), number)
            number += 1
            at = end + 1
        }
    }

    static func isBlank(_ line: UnsafeRawBufferPointer) -> Bool {
        line.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
    }

    /// The flaw of a line that simdjson did not accept. If the slow validator accepts the line, the extractor
    /// must be able to read it, too: what is in the log is read again on every replay.
    private static func flaw(in line: UnsafeRawBufferPointer) -> JSONValidator.Flaw? {
        if let flaw = JSONValidator.flaw(in: line) { return flaw }
        let start = line.baseAddress?.assumingMemoryBound(to: CChar.self)
        if kj_is_readable(start, line.count) { return nil }
        return JSONValidator.Flaw(
            column: 1, reason: "this build's simdjson cannot read the line, though it is JSON")
    }

    /// simdjson checks first. Lines that it does not accept go to the slow validator, which also reports
    /// where the flaw is.
    private static func validate(
        _ text: UnsafeRawBufferPointer, firstLine: Int
    ) throws(KappaError) {
        let padded = UnsafeMutableRawBufferPointer.allocate(
            byteCount: text.count + EventBatchPadding.bytes, alignment: 64)
        defer { padded.deallocate() }
        padded.copyMemory(from: text)
        var at = 0
        while at < text.count {
            let rest = UnsafeRawBufferPointer(rebasing: padded[at..<text.count])
            let good = kj_validate_ndjson(
                rest.baseAddress?.assumingMemoryBound(to: CChar.self), rest.count)
            if good >= rest.count { return }
            at += good
            let lineEnd = text[at...].firstIndex(of: 0x0A) ?? text.count
            let line = UnsafeRawBufferPointer(rebasing: padded[at..<lineEnd])
            if !isBlank(line), let flaw = flaw(in: line) {
                let number = firstLine + text[..<at].count { $0 == 0x0A }
                throw KappaError(
                    .badInput, "line \(number) is not a JSON object",
                    at: "line \(number), column \(flaw.column)", because: flaw.reason,
                    advice: "Nothing of this batch was appended. Correct the line and append again")
            }
            at = lineEnd + 1
        }
    }
}

private enum EventBatchPadding {
    static let bytes = Int(KJ_PADDING)
}
