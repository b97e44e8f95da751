/// Finds places in the log by the time at which events were appended, in microseconds since 1970.
package enum IngestionTimes {
    /// The offset after the last event that was appended at or before a time; zero where there is none.
    ///
    /// The log's order decides, not the clock's: where a clock was set back, all that stands before the
    /// last such event counts.
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

    /// When the last event before an offset was appended; nil where there is none.
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
