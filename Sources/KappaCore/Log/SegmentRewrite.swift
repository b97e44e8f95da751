import CZstd
import Glibc

/// Writes a segment anew under another name and renames it, once it is complete and durable, over the old one.
/// Readers that have the old file open read that one to its end. The caller holds the ``SealLock``.
struct SegmentRewrite {
    private let folder: String
    private let events: Range<Offset>
    /// Whether raw blocks are compressed. Those of a compressed segment stay so.
    private let compress: Bool
    private let files: any FileSystem
    private var path: String { SegmentFiles.path(folder, events.lowerBound) }

    /// - Parameter events: Those of the segment: it is no longer written to.
    init(_ folder: String, _ events: Range<Offset>, compress: Bool, _ files: any FileSystem) {
        self.folder = folder
        self.events = events
        self.compress = compress
        self.files = files
    }

    /// - Parameter change: Changes the runs and payload of a block; offsets and the digest stay.
    func run(
        _ change: (_ block: LogBlock) throws(KappaError) -> (
            runs: [IngestionRun], payload: [UInt8]
        )? = { _ throws(KappaError) in nil }
    ) throws(KappaError) {
        precondition(!events.isEmpty, "a segment that is no longer written to has events")
        var isCompressed = compress
        try BlockWalk.headers(folder, ofSegment: events.lowerBound) { block in
            if block.header.codec == .zstd { isCompressed = true }
        }
        let newPath = path + SealLock.suffix
        let output: OpenFile
        do throws(IOFailure) {
            output = OpenFile(
                try files.open(newPath, O_RDWR | O_CREAT | O_TRUNC), path: newPath)
        } catch {
            throw error.error("cannot create a new segment", at: newPath)
        }
        do throws(KappaError) { try write(to: output, compress: isCompressed, change) } catch {
            try? files.remove(newPath)
            throw error
        }
        do throws(IOFailure) {
            try files.sync(output.descriptor)
            try files.rename(newPath, to: path)
            try files.syncFolder(folder)
        } catch {
            try? files.remove(newPath)
            throw error.error("cannot put a new segment in place", at: path)
        }
    }

    private func write(
        to output: OpenFile, compress: Bool,
        _ change: (LogBlock) throws(KappaError) -> (runs: [IngestionRun], payload: [UInt8])?
    ) throws(KappaError) {
        let reader = try LogReader(folder, countsEvents: true)
        try reader.seek(to: events.lowerBound)
        let buffer = BlockBuffer()
        var position = 0
        while let block = try reader.next(into: buffer, upTo: events.upperBound) {
            let changed = try change(block)
            let bytes = try encoded(
                block, changed?.runs ?? block.runs, changed?.payload ?? Array(block.payload),
                compress: compress)
            do throws(IOFailure) {
                try files.write(output.descriptor, bytes, at: position)
            } catch {
                throw error.error("cannot write a new segment", at: output.path)
            }
            position += bytes.count
        }
        if reader.offset == events.upperBound { return }
        throw KappaError(
            .damaged, "a segment ends early", at: "\(path), offset \(reader.offset)",
            because: "the next one begins at offset \(events.upperBound)",
            advice: "Nothing was changed. Run `kappa log verify`")
    }

    private func encoded(
        _ block: LogBlock, _ runs: [IngestionRun], _ payload: [UInt8], compress: Bool
    ) throws(KappaError) -> [UInt8] {
        var runBytes: [UInt8] = []
        for run in Self.joined(runs) { run.encode(into: &runBytes) }
        var header = BlockHeader(
            firstOffset: block.firstOffset, events: block.events, runsSize: runBytes.count,
            payloadSize: payload.count, payloadCRC: payload.withUnsafeBytes { crc32c($0) },
            digestBefore: block.digestBefore)
        (header.appendedSize, header.appendedCRC) = block.digestAfter.suffix(
            after: block.digestBefore)
        guard compress else { return header.encoded(runs: runBytes) + payload }
        var stored = [UInt8](repeating: 0, count: ZSTD_compressBound(payload.count))
        let count = stored.withUnsafeMutableBytes { target in
            payload.withUnsafeBytes { payload in
                ZSTD_compress(
                    target.baseAddress, target.count, payload.baseAddress, payload.count, 3)
            }
        }
        guard ZSTD_isError(count) == 0 else {
            throw KappaError(
                .bug, "zstd cannot compress a block",
                because: String(cString: ZSTD_getErrorName(count)))
        }
        header.codec = .zstd
        header.storedSize = count
        return header.encoded(runs: runBytes) + stored[0..<count]
    }

    /// Combines consecutive runs where they continue each other.
    private static func joined(_ runs: [IngestionRun]) -> [IngestionRun] {
        var result: [IngestionRun] = []
        for run in runs {
            if var last = result.last, last.continues(in: run) {
                last.append(run)
                result[result.count - 1] = last
            } else {
                result.append(run)
            }
        }
        return result
    }
}
