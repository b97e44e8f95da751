/// The log of another data folder as a source. Positions are its offsets; events that are erased there are left
/// out. Nothing is written to it.
package final class LogSource: EventSource {
    /// The other log's folder.
    private let folder: String
    private let name: String
    private var reader: LogReader?
    private var watcher: LogWatcher?
    private let buffer = BlockBuffer()
    /// The position after what was delivered.
    private var position: UInt64 = 0
    /// Where it ends, if it is not followed.
    private var end: Offset?

    /// - Parameters:
    ///   - folder: The folder of the log: `log` in the data folder.
    ///   - name: The name of the source in the log that it is pulled into.
    package init(_ folder: String, name: String) {
        self.folder = folder
        self.name = name
    }

    package var partitions: [String] { [name] }

    package func open(_ histories: [SourceHistory], following: Bool) throws(KappaError) {
        guard let history = histories.first else { return }
        if FileIdentity(of: history.log) == FileIdentity(of: folder) {
            throw KappaError(
                .usage, "a log cannot be pulled into itself", at: folder,
                advice: "Name another data folder with --data")
        }
        let reader = try LogReader(folder, countsEvents: true)
        try prove(history, reader)
        position = history.position
        // The first pull of a log that was trimmed begins with what is there.
        if position > 0 { try reader.seek(to: Offset(position)) }
        self.reader = reader
        if following { watcher = try LogWatcher(folder) } else { end = try reader.durableEnd() }
    }

    package func next(waitingAtMost wait: Duration) throws(KappaError) -> SourceDelivery {
        guard let reader else { return .end }
        if let block = try reader.next(into: buffer, upTo: end) {
            return .batch(batch(of: block, isAtEnd: block.nextOffset == (try reader.durableEnd())))
        }
        guard let watcher else { return .end }
        let (seconds, attoseconds) = wait.components
        let milliseconds = Int(seconds) * 1_000 + Int(attoseconds / 1_000_000_000_000_000)
        try watcher.wait(past: reader.offset, timeoutMilliseconds: milliseconds)
        guard let block = try reader.next(into: buffer) else { return .nothing }
        return .batch(batch(of: block, isAtEnd: block.nextOffset == (try reader.durableEnd())))
    }

    package func lag(of partition: String) throws(KappaError) -> UInt64? {
        guard let reader else { return nil }
        return UInt64(try reader.durableEnd() - reader.offset)
    }

    package func close() {
        reader = nil
        watcher = nil
    }

    private func batch(of block: LogBlock, isAtEnd: Bool) -> SourceLines {
        var lines: [UInt8] = []
        if block.runs.allSatisfy({ $0.erased.isEmpty && $0.tick == nil }) {
            lines = Array(block.payload)
        } else {
            block.forEachEvent { event in
                if let json = event.json { lines += json + [0x0A] }
                return true
            }
        }
        defer { position = block.nextOffset.rawValue }
        return SourceLines(
            partition: name, position: position,
            next: block.nextOffset.rawValue, lines: lines,
            origin: "\(folder), from offset \(block.firstOffset)", isAtEnd: isAtEnd)
    }

    // MARK: Whether it is the same log

    /// - Throws: `.badInput` if it is not the log that was pulled so far, or an earlier copy of it.
    private func prove(
        _ history: SourceHistory, _ reader: LogReader
    ) throws(KappaError) {
        let position = Offset(history.position)
        if position == .zero { return }
        let end = try reader.durableEnd()
        guard position <= end else {
            throw refusal("it ends at offset \(end), and was pulled up to offset \(position)")
        }
        let first = try reader.firstOffset
        guard first <= position else {
            throw KappaError(
                .badInput, "events of \(name) are lost", at: folder,
                because: "it was pulled up to offset \(position), and now begins at \(first)",
                advice:
                    "Nothing was appended. Put its segments back, or pull it as another source, "
                    + "with --source NAME")
        }
        if try reader.digest(at: position) == history.digest { return }
        // Ticks, what was trimmed, and events that were erased before they were pulled are not in the digest.
        let mayDiffer = first > .zero ? true : try hasWithheld(before: position)
        guard mayDiffer, try endsTheSame(history, reader) else {
            throw refusal("its events before offset \(position) are not those that were pulled")
        }
    }

    private func refusal(_ reason: String) -> KappaError {
        KappaError(
            .badInput, "this is not the log that was pulled as source \(name)", at: folder,
            because: reason,
            advice:
                "Nothing was appended. If it is another log, or was made anew, pull it as another "
                + "source, with --source NAME")
    }

    private func hasWithheld(before end: Offset) throws(KappaError) -> Bool {
        var found = false
        try BlockWalk.headers(folder, behind: nil) { block in
            var offset = block.header.firstOffset
            for run in block.runs {
                if let erased = run.erased.first, offset + erased.index < end { found = true }
                if run.tick != nil, offset < end { found = true }
                offset = offset + run.events
            }
        }
        return found
    }

    /// Whether the last event that was pulled is the last one before the position that is not erased, or one
    /// that was erased since.
    private func endsTheSame(
        _ history: SourceHistory, _ reader: LogReader
    ) throws(KappaError) -> Bool {
        var last: Offset?
        try BlockWalk.headers(history.log, behind: nil) { block in
            var next = block.header.firstOffset
            for run in block.runs {
                next = next + run.events
                guard let source = run.source, source.name == name, source.point.eventsPast == 0
                else { continue }
                last = Offset(next.rawValue - 1)
            }
        }
        guard let last else { return false }
        let own = EventPicker(try LogReader(history.log))
        let wanted = try Self.mark(of: own.event(at: last))
        let picker = EventPicker(reader)
        var offset = history.position
        while offset > 0 {
            offset -= 1
            if try Offset(offset) < reader.firstOffset { return false }
            let event = try picker.event(at: Offset(offset))
            if event.run.tick != nil { continue }
            if Self.mark(of: event) == wanted { return true }
            if event.run.erased.isEmpty { return false }
        }
        return false
    }

    /// The size and checksum of an event as it was appended.
    private static func mark(of event: EventPicker.Picked) -> LogDigest {
        if let erased = event.run.erasedEvent(0) {
            return LogDigest(bytes: UInt64(erased.bytes), crc: erased.crc)
        }
        return LogDigest.empty.appending(event.line)
    }
}
