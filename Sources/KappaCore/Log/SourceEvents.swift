/// An event that the log has of a source.
struct SourceEvent {
    /// Its JSON, with the newline.
    var line: UnsafeRawBufferPointer
    var offset: Offset
    /// What is left of it if it is erased.
    var erased: IngestionRun.ErasedEvent?

    /// Whether a line without its newline is this event, as it was appended.
    func isSame(as own: UnsafeRawBufferPointer) -> Bool {
        guard let erased else { return line.dropLast().elementsEqual(own) }
        let newline: [UInt8] = [0x0A]
        let crc = newline.withUnsafeBytes { crc32c($0, from: crc32c(own)) }
        return own.count + 1 == erased.bytes && crc == erased.crc
    }
}

/// The events that the log has of a source, one after the other.
struct SourceEvents {
    private let folder: String
    private let name: String
    private var reader: LogReader?
    private let buffer = BlockBuffer()
    private var start: Offset
    private var block: LogBlock?
    private var run = 0
    private var left = 0
    private var at = 0
    private var offset = Offset.zero

    init(_ folder: String, _ name: String, after checkpoint: SourceCheckpoint?) {
        self.folder = folder
        self.name = name
        start = checkpoint?.offset ?? .zero
    }

    /// The next event, without its newline; valid until the next call.
    /// - Throws: `.damaged` if the log has no more of them.
    mutating func next() throws(KappaError) -> SourceEvent {
        while true {
            while let block, run < block.runs.count {
                if left == 0 {
                    run += 1
                    left = run < block.runs.count ? block.runs[run].events : 0
                    continue
                }
                let rest = UnsafeRawBufferPointer(rebasing: block.payload[at...])
                guard let end = BlockLines.end(of: 1, in: rest) else { throw damage() }
                let line = UnsafeRawBufferPointer(rebasing: rest[..<end])
                at += end
                left -= 1
                offset = offset + 1
                let own = block.runs[run]
                guard own.source?.name == name else { continue }
                let index = own.events - left - 1
                return SourceEvent(
                    line: line, offset: Offset(offset.rawValue - 1),
                    erased: own.erasedEvent(index))
            }
            try readBlock()
        }
    }

    private func damage() -> KappaError {
        KappaError(
            .damaged, "the log lacks events of source \(name)", at: folder,
            because: "its blocks state more of them", advice: "Run `kappa log verify`")
    }

    private mutating func readBlock() throws(KappaError) {
        if reader == nil {
            let reader = try LogReader(folder, countsEvents: true)
            try reader.seek(to: max(start, try reader.firstOffset))
            self.reader = reader
        }
        guard let next = try reader?.next(into: buffer) else { throw damage() }
        (block, run, at, offset) = (next, 0, 0, next.firstOffset)
        left = next.runs.first?.events ?? 0
    }
}
