import Glibc

@testable import KappaCore

/// Writes a log as kappa did before format 2, by the description in `docs/log.md`.
enum FirstFormat {
    /// Rewrites all segments of a log, and its head.
    /// - Parameter change: Changes each run first.
    static func rewrite(
        _ log: LogFolder, format: BlockHeader.Format = .first,
        _ change: (inout IngestionRun) -> Void = { _ in }
    ) throws {
        var head: LogHead?
        for segment in try SegmentFiles.list(log.path) {
            let name = String(SegmentFiles.path(log.path, segment).split(separator: "/").last ?? "")
            let old = try log.bytes(name)
            var new: [UInt8] = []
            try BlockWalk.headers(log.path, ofSegment: segment) { block in
                var header = block.header
                let payload = block.position + header.size + header.runsSize
                var runs: [UInt8] = []
                for var run in block.runs {
                    change(&run)
                    if format == .first { runs += bytes(of: run) } else { run.encode(into: &runs) }
                }
                header.format = format
                header.runsSize = runs.count
                new += header.encoded(runs: runs)
                new += old[payload..<(payload + header.storedSize)]
            }
            try log.write(new, to: name)
            head = try LogHead.read(OpenFile(reading: log.file("head")))
            head?.segmentBytes = new.count
        }
        guard let head else { return }
        try log.write(format == .first ? bytes(of: head) : head.encoded, to: "head")
    }

    private static func bytes(of run: IngestionRun) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(number: UInt32(run.events))
        bytes.append(number: run.ingestedAtMicros)
        bytes.append(number: run.source?.point.position ?? 0)
        bytes.append(number: UInt8(run.source?.name.utf8.count ?? 0))
        return bytes + (run.source?.name ?? "").utf8
    }

    private static func bytes(of head: LogHead) -> [UInt8] {
        var bytes = head.encoded
        bytes[3] = UInt8(ascii: "2")
        let sum = (Array(bytes[0..<40]) + bytes[44..<48]).withUnsafeBytes { crc32c($0) }
        var written: [UInt8] = []
        written.append(number: sum)
        bytes.replaceSubrange(40..<44, with: written)
        return bytes
    }
}
