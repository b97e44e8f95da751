import Glibc

/// Reads whole lines of a file or a pipe.
struct LineReader {
    private let reader: InputReader
    /// The beginning of a line whose end has not arrived.
    private var held: [UInt8] = []

    enum Delivery {
        /// One line or more; only the last of all may lack its newline.
        case lines([UInt8])
        /// Nothing has arrived for a moment; more may.
        case nothing
        case end
    }

    init(_ input: Int32) throws(KappaError) { reader = try InputReader(input) }

    /// Waits for lines, for as long as more of an unfinished one arrives.
    mutating func next() throws(IOFailure) -> Delivery {
        while true {
            switch try reader.next() {
            case .bytes(let bytes):
                guard let last = bytes.lastIndex(of: 0x0A) else {
                    held += bytes
                    continue
                }
                if held.isEmpty, last == bytes.count - 1 { return .lines(bytes) }
                var lines = held
                lines += bytes[...last]
                held = Array(bytes[(last + 1)...])
                return .lines(lines)
            case .nothing: return .nothing
            case .end:
                if held.isEmpty { return .end }
                defer { held = [] }
                return .lines(held)
            }
        }
    }
}

/// Lines of text that are events, as they are read.
enum NDJSON {
    /// Where a piece of at most `most` lines ends, and how many lines it has.
    static func end(
        ofLines most: Int, in bytes: [UInt8], from start: Int
    ) -> (end: Int, lines: Int) {
        bytes.withUnsafeBytes { all in
            guard let base = all.baseAddress else { return (all.count, 0) }
            var at = start
            var lines = 0
            while at < all.count, lines < most {
                lines += 1
                guard let newline = memchr(base + at, 0x0A, all.count - at) else {
                    return (all.count, lines)
                }
                at = UnsafeRawPointer(newline) - base + 1
            }
            return (at, lines)
        }
    }

    /// Where the first `most` events of a text end, if it has so many; how many events and lines that are.
    static func end(
        ofEvents most: Int, in bytes: [UInt8]
    ) -> (end: Int, events: Int, lines: Int) {
        var found = (end: 0, events: 0, lines: 0)
        var isDone = most == 0
        bytes.withUnsafeBytes { all in
            var start = 0
            while start < all.count, !isDone, let base = all.baseAddress {
                let newline = memchr(base + start, 0x0A, all.count - start)
                let end = newline.map { UnsafeRawPointer($0) - base + 1 } ?? all.count
                let line = UnsafeRawBufferPointer(rebasing: all[start..<end])
                // Most lines begin with their object.
                let isEvent = line.first == 0x7B || !EventLines.isBlank(line.withoutNewline)
                if isEvent { found.events += 1 }
                found.lines += 1
                found.end = end
                isDone = found.events == most
                start = end
            }
        }
        return found
    }

    /// A file may begin with a byte-order mark.
    static let mark: [UInt8] = [0xEF, 0xBB, 0xBF]

    static func withoutMark(_ bytes: [UInt8], _ range: Range<Int>, _ line: Int) -> Range<Int> {
        let hasMark = line == 1 && bytes[range].starts(with: mark)
        return hasMark ? (range.lowerBound + mark.count)..<range.upperBound : range
    }

    /// The events of a range of a text.
    /// - Throws: `.badInput` with the name of the text, line and column.
    static func events(
        _ bytes: [UInt8], _ range: Range<Int>, _ firstLine: Int, _ name: String
    ) throws(KappaError) -> EventLines {
        var result = EventLines()
        var failure: KappaError?
        bytes.withUnsafeBytes { all in
            do throws(KappaError) {
                result = try EventLines(.init(rebasing: all[range]), firstLine: firstLine)
            } catch { failure = error }
        }
        if var failure {
            failure.place = failure.place.map { "\(name), \($0)" }
            throw failure
        }
        return result
    }

    /// The events before the first line that is not one.
    static func eventsBeforeFlaw(_ bytes: [UInt8]) -> EventLines {
        var sound = EventLines()
        var start = 0
        while start < bytes.count {
            let end = end(ofLines: 1, in: bytes, from: start).end
            guard let event = try? events(bytes, start..<end, 1, "") else { break }
            sound.append(event)
            start = end
        }
        return sound
    }

    /// The lines of a text that is only compared.
    static func unchecked(_ bytes: [UInt8]) -> EventLines {
        bytes.withUnsafeBytes { EventLines(unchecked: $0) }
    }
}

extension UnsafeRawBufferPointer {
    fileprivate var withoutNewline: UnsafeRawBufferPointer {
        last == 0x0A ? UnsafeRawBufferPointer(rebasing: self[..<(count - 1)]) : self
    }
}
