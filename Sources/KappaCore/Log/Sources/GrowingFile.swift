import Glibc

/// A file that is read line by line, while it may grow, be renamed, or be cut short.
struct GrowingFile {
    let file: OpenFile
    /// How many bytes were taken.
    private(set) var offset = 0
    /// The number of the next line.
    private(set) var line = 1
    /// The last bytes before the offset. Where they change, the file has been rewritten.
    private var last: [UInt8] = []
    /// The size of the file where it had no whole line past the offset.
    private var sizeWithoutLine: Int?

    private static let lastBytes = 256
    private static let pieceBytes = 4 << 20

    init(_ file: OpenFile) { self.file = file }

    var path: String { file.path }

    /// Whole lines past the offset, a few megabytes of them; empty if there are none.
    /// - Parameter limit: Where the file ends for the caller.
    mutating func lines(upTo limit: Int?) throws(KappaError) -> [UInt8] {
        let end = min(file.size, limit ?? .max)
        if end <= offset || end == sizeWithoutLine { return [] }
        try skipMark()
        if end <= offset { return [] }
        var size = Self.pieceBytes
        while true {
            var bytes = try read(min(size, end - offset))
            if let newline = bytes.lastIndex(of: 0x0A) {
                bytes.removeLast(bytes.count - newline - 1)
                return bytes
            }
            if bytes.count < size {
                sizeWithoutLine = end
                return []
            }
            size *= 2
        }
    }

    /// A last line without its newline; or the lines that have arrived since there was none.
    func rest(upTo limit: Int?) throws(KappaError) -> [UInt8] {
        let bytes = try read(max(0, min(file.size, limit ?? .max) - offset))
        return bytes.lastIndex(of: 0x0A).map { Array(bytes[...$0]) } ?? bytes
    }

    /// Goes past bytes that were read at the offset.
    mutating func take(_ bytes: ArraySlice<UInt8>, lines: Int) {
        offset += bytes.count
        line += lines
        last = Array((last + bytes.suffix(Self.lastBytes)).suffix(Self.lastBytes))
    }

    /// Whether what was taken is still there. What was read before is then what follows it.
    func isIntact() throws(KappaError) -> Bool {
        if file.size < offset { return false }
        return try file.bytes(at: offset - last.count, count: last.count) == last
    }

    /// Whether nothing but blank lines is past the offset.
    func hasNoEvent() throws(KappaError) -> Bool {
        var rest = self
        while true {
            var bytes = try rest.lines(upTo: nil)
            if bytes.isEmpty { bytes = try rest.rest(upTo: nil) }
            if bytes.isEmpty { return true }
            if NDJSON.end(ofEvents: 1, in: bytes).events > 0 { return false }
            rest.take(bytes[...], lines: 0)
        }
    }

    /// How many events are past the offset, in whole lines.
    func eventsLeft() throws(KappaError) -> UInt64 {
        var rest = self
        var events: UInt64 = 0
        while true {
            let bytes = try rest.lines(upTo: nil)
            if bytes.isEmpty { return events }
            events += UInt64(NDJSON.end(ofEvents: .max, in: bytes).events)
            rest.take(bytes[...], lines: 0)
        }
    }

    private mutating func skipMark() throws(KappaError) {
        guard offset == 0 else { return }
        let start = try read(NDJSON.mark.count)
        if start == NDJSON.mark { take(start[...], lines: 0) }
    }

    private func read(_ count: Int) throws(KappaError) -> [UInt8] {
        try file.bytes(at: offset, count: count)
    }
}

extension OpenFile {
    /// Some of its bytes; fewer only at its end.
    func bytes(at position: Int, count: Int) throws(KappaError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var read = 0
        var failure: KappaError?
        bytes.withUnsafeMutableBytes { memory in
            do throws(KappaError) { read = try self.read(memory, at: position) } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        bytes.removeLast(count - read)
        return bytes
    }
}
