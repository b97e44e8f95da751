/// What a log holds.
package struct LogInfo: Equatable, Sendable {
    package var firstOffset: Offset
    package var nextOffset: Offset
    /// Bytes on the disk.
    package var bytes: Int
    package var segments: Int
    package var events: Int { nextOffset - firstOffset }
    /// How many events are erased.
    package var erased = 0
    /// How many time partitions there are: those that are declared, and one of all other sources.
    package var partitions = 1

    /// Inspects the log in `folder`.
    package init(_ folder: String) throws(KappaError) {
        let reader = try LogReader(folder)
        let firsts = try reader.segments()
        firstOffset = try reader.firstOffset
        nextOffset = try reader.durableEnd()
        segments = firsts.count
        var total = 0
        for first in firsts {
            total += try OpenFile(reading: SegmentFiles.path(folder, first)).size
        }
        bytes = total
        var (erased, declared) = (0, Set<String>())
        try BlockWalk.headers(folder, behind: nil) { beginning in
            (erased, declared) = (0, beginning.partitions)
        } visit: { block in
            for run in block.runs {
                erased += run.erased.count
                if let partition = run.partition { declared.insert(partition) }
            }
        }
        self.erased = erased
        partitions = 1 + declared.count
    }
}

extension LogInfo {
    /// The first offset of the newest segments that have so many bytes together.
    static func offset(keeping bytes: Int, in folder: String) throws(KappaError) -> Offset {
        let reader = try LogReader(folder)
        var left = bytes
        var first = try reader.durableEnd()
        for segment in try reader.segments().reversed() {
            left -= try OpenFile(reading: SegmentFiles.path(folder, segment)).size
            first = segment
            if left <= 0 { break }
        }
        return first
    }
}

/// What a log's folder holds past the durable end: an append in progress, or one that was interrupted before
/// it was acknowledged.
package struct LogPastEnd: Equatable, Sendable {
    package var bytes = 0
    /// The files that contain such bytes, or nothing else.
    package var files: [String] = []
    /// The segment of the durable end.
    var segment: Offset?
}

/// What a check of the whole log found.
package struct LogVerification: Sendable {
    package var blocks = 0
    package var events = 0
    package var bytes = 0
    /// The first damage; nil if every byte is sound.
    package var damage: KappaError?
    /// What is past the durable end.
    package var pastEnd = LogPastEnd()

    /// Reads and checks every block, from the first to the durable end.
    /// - Parameter progress: Called with the offset reached, again and again; returning false stops the
    ///   check.
    package init(
        _ folder: String, progress: (Offset) -> Bool = { _ in true }
    ) throws(KappaError) {
        do throws(KappaError) {
            let reader = try LogReader(folder, countsEvents: true)
            let buffer = BlockBuffer()
            let beginning = try LogBeginning.read(folder)
            if reader.offset == beginning.first, reader.digest != beginning.digest {
                throw KappaError(
                    .damaged, "the log is damaged", at: "\(folder), offset \(reader.offset)",
                    because: "its first block does not follow what was trimmed before it",
                    advice: "Restore the folder from a copy")
            }
            while let block = try reader.next(into: buffer) {
                events += block.events
                bytes += block.payload.count
                blocks = reader.blocksRead
                if !progress(block.nextOffset) { return }
            }
            try reader.checkEnd()
            pastEnd = try reader.pastEnd()
        } catch {
            guard error.code == .damaged else { throw error }
            damage = error
        }
    }
}

/// An event as a block has it.
package struct LoggedEvent {
    package var offset: Offset
    /// What is known of it beside its JSON. A part of the run holds other events.
    package var run: IngestionRun
    /// Its JSON without newline; nil of an erased event, and of a tick. Valid as long as the block's payload.
    package var json: UnsafeRawBufferPointer?
}

extension LogBlock {
    /// Visits the block's events, until `body` returns false.
    package func forEachEvent(_ body: (LoggedEvent) throws -> Bool) rethrows {
        var offset = firstOffset
        var at = 0
        for run in runs {
            for index in 0..<run.events {
                let end = payload[at...].firstIndex(of: 0x0A) ?? payload.count
                let line = UnsafeRawBufferPointer(rebasing: payload[at..<end])
                let isWithheld = run.tick != nil || run.hasErased(index)
                let event = LoggedEvent(offset: offset, run: run, json: isWithheld ? nil : line)
                if try !body(event) { return }
                offset = offset + 1
                at = min(end + 1, payload.count)
            }
        }
    }
}
