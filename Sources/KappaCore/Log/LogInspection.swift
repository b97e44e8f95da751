/// What a log holds.
package struct LogInfo: Equatable, Sendable {
    package var firstOffset: Offset
    package var nextOffset: Offset
    /// Bytes on the disk.
    package var bytes: Int
    package var segments: Int
    package var events: Int { nextOffset - firstOffset }

    /// Inspects the log in `folder`.
    package init(_ folder: String) throws(KappaError) {
        let reader = try LogReader(folder)
        let firsts = try reader.segments()
        firstOffset = firsts.first ?? .zero
        nextOffset = try reader.durableEnd()
        segments = firsts.count
        var total = 0
        for first in firsts {
            total += try OpenFile(reading: SegmentFiles.path(folder, first)).size
        }
        bytes = total
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
            try reader.seek(to: try reader.firstOffset)
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

extension LogBlock {
    /// Visits the block's events: offset, ingestion time in microseconds, and JSON without newline. Of an
    /// erased event it is empty.
    package func forEachEvent(
        _ body: (Offset, Int64, UnsafeRawBufferPointer) throws -> Bool
    ) rethrows {
        var run = 0
        var left = runs.first?.events ?? 0
        var at = 0
        for index in 0..<events {
            while left == 0, run + 1 < runs.count {
                run += 1
                left = runs[run].events
            }
            left -= 1
            let end = payload[at...].firstIndex(of: 0x0A) ?? payload.count
            var line = UnsafeRawBufferPointer(rebasing: payload[at..<end])
            let time = run < runs.count ? runs[run].ingestedAtMicros : 0
            if run < runs.count, runs[run].hasErased(runs[run].events - left - 1) {
                line = .init(start: nil, count: 0)
            }
            if try !body(firstOffset + index, time, line) { return }
            at = min(end + 1, payload.count)
        }
    }
}
