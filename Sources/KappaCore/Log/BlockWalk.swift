/// Walks over the headers of a log's blocks without reading their payloads.
enum BlockWalk {
    struct Block {
        var segment: Offset
        var position: Int
        var header: BlockHeader
        var runs: [IngestionRun]
    }

    /// Visits the blocks after an earlier end of the log, up to the durable end.
    /// - Parameter trimmed: Called before the first block, if the log has been trimmed past the known end: what
    ///   was known before is to be replaced by it. Called again if the log is trimmed meanwhile.
    static func headers(
        _ folder: String, behind known: LogHead?, trimmed: (LogBeginning) -> Void = { _ in },
        visit: (Block) -> Void
    ) throws(KappaError) {
        let headFile = try OpenFile(reading: LogHead.path(folder))
        func readHead() throws(KappaError) -> LogHead {
            if let head = try LogHead.read(headFile) { return head }
            throw KappaError(
                .damaged, "the log's end is not known", at: headFile.path,
                because: "the file was overwritten while the log was open",
                advice: "Start again: the log recovers when it is opened")
        }
        var head = try readHead()
        let end = head.nextOffset
        var start = known?.nextOffset ?? .zero
        var beginning = try LogBeginning.read(folder)
        if beginning.first > start {
            trimmed(beginning)
            start = beginning.first
        }
        var segment =
            try SegmentFiles.durable(folder, head).last { $0 <= start } ?? beginning.first
        var next = segment
        var position = 0
        if let known, known.segment == head.segment {
            // The known part of the last segment need not be visited again. (Segments before it may have
            // been sealed meanwhile, and then hold different blocks.)
            (segment, next, position) = (known.segment, start, known.segmentBytes)
        }
        while next < end {
            let path = SegmentFiles.path(folder, segment)
            if try !IOFailure.isThere(path) {
                beginning = try LogBeginning.read(folder)
                if beginning.first > segment {
                    trimmed(beginning)
                    (start, segment, next) = (beginning.first, beginning.first, beginning.first)
                    position = 0
                    continue
                }
            }
            let file = try OpenFile(reading: path)
            // The head is read after the file was opened, because sealing replaces a segment's file: it is then
            // no longer the last one, and has another size.
            head = try readHead()
            let limit = segment == head.segment ? head.segmentBytes : file.size
            next = try walk(file, segment, position..<limit, next) { block in
                if block.header.nextOffset > start { visit(block) }
            }
            guard next > segment, segment != head.segment || next == head.nextOffset else {
                throw damage(file, limit, "it ends early, at offset \(next)")
            }
            // A segment begins where the one before it ends.
            segment = next
            position = 0
        }
    }

    /// Visits the blocks of one segment, up to the durable end.
    static func headers(
        _ folder: String, ofSegment segment: Offset, _ visit: (Block) -> Void
    ) throws(KappaError) {
        let file = try OpenFile(reading: SegmentFiles.path(folder, segment))
        // The head is read after the file was opened, because sealing replaces a segment's file.
        guard let head = try LogHead.read(try OpenFile(reading: LogHead.path(folder))) else {
            throw damage(file, 0, "the log's head cannot be read")
        }
        // In a segment that a writer has only just started, nothing is durable.
        let limit =
            segment < head.segment ? file.size : segment == head.segment ? head.segmentBytes : 0
        _ = try walk(file, segment, 0..<limit, segment, visit)
    }

    /// Returns the offset after the segment's last event.
    private static func walk(
        _ file: OpenFile, _ segment: Offset, _ bytes: Range<Int>, _ first: Offset,
        _ visit: (Block) -> Void
    ) throws(KappaError) -> Offset {
        let window = ReadWindow()
        let limit = bytes.upperBound
        var position = bytes.lowerBound
        var next = first
        while position < limit {
            let fixed = try window.bytes(
                of: file, at: position, count: BlockHeader.mostBytes, limit)
            guard let header = BlockHeader(fixed), position + header.blockSize <= limit else {
                throw damage(file, position, "a block's header cannot be read")
            }
            let size = header.size + header.runsSize
            let whole = try window.bytes(of: file, at: position, count: size, limit)
            guard whole.count == size, BlockHeader.isSound(whole),
                header.firstOffset == next, header.events > 0,
                let runs = IngestionRun.decode(
                    UnsafeRawBufferPointer(rebasing: whole[header.size...]), header.format)
            else { throw damage(file, position, "a block's header cannot be read") }
            visit(Block(segment: segment, position: position, header: header, runs: runs))
            position += header.blockSize
            next = header.nextOffset
        }
        return next
    }

    private static func damage(
        _ file: OpenFile, _ position: Int, _ reason: String
    ) -> KappaError {
        KappaError(
            .damaged, "the log is damaged", at: "\(file.path), byte \(position)",
            because: reason,
            advice: "Restore the file from a copy; `kappa log verify` shows how far it is sound")
    }
}

/// Finds offsets by ingestion time, and the reverse; times are in microseconds since 1970.
package enum IngestionTimes {
    /// The offset after the last event that was appended at or before a time; zero if there is none.
    ///
    /// Log order decides, not clock order: if a clock was set back, everything before the last such event
    /// counts too.
    package static func end(
        asOfMicros time: Int64, in folder: String
    ) throws(KappaError) -> Offset {
        for segment in try SegmentFiles.list(folder).reversed() {
            var end: Offset?
            try BlockWalk.headers(folder, ofSegment: segment) { block in
                var next = block.header.firstOffset
                for run in block.runs {
                    next = next + run.events
                    if run.ingestedAtMicros <= time { end = next }
                }
            }
            if let end { return end }
        }
        return .zero
    }

    /// When the last event before an offset was appended; nil if there is none.
    package static func micros(
        before offset: Offset, in folder: String
    ) throws(KappaError) -> Int64? {
        guard let segment = try SegmentFiles.list(folder).last(where: { $0 < offset }) else {
            return nil
        }
        var micros: Int64?
        try BlockWalk.headers(folder, ofSegment: segment) { block in
            var next = block.header.firstOffset
            for run in block.runs {
                if next < offset { micros = run.ingestedAtMicros }
                next = next + run.events
            }
        }
        return micros
    }
}
