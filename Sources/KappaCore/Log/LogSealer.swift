import CZstd
import Glibc

/// Rewrites segments that are no longer written to: small blocks become full ones, compressed if requested.
/// Offsets, ingestion times, sources and digests do not change.
package struct LogSealer {
    package struct Result: Equatable, Sendable {
        package var segments = 0
        package var bytesBefore = 0
        package var bytesAfter = 0
    }

    private let folder: String
    private let compress: Bool
    private let files: any FileSystem
    private static let blockBytes = 1 << 20

    package init(_ folder: String, zstd: Bool, files: any FileSystem = SystemFiles()) {
        self.folder = folder
        compress = zstd
        self.files = files
    }

    /// Starts a new segment for appends, and seals every segment before it.
    /// - Throws: `.heldElsewhere` while the log is being sealed by another caller.
    package func seal() throws(KappaError) -> Result {
        let end = try LogWriter(folder, files: files).roll()
        guard let lock = try SealLock(folder, files) else {
            throw KappaError(
                .heldElsewhere, "the log is being sealed already", at: folder,
                advice: "Try again when that is done")
        }
        defer { lock.unlock() }
        lock.removeLeftovers()
        var result = Result()
        let firsts = try SegmentFiles.list(folder).filter { $0 <= end }
        for (first, next) in zip(firsts, firsts.dropFirst()) {
            let path = SegmentFiles.path(folder, first)
            let before = try OpenFile(reading: path).size
            try seal(first, end: next, path)
            result.segments += 1
            result.bytesBefore += before
            result.bytesAfter += try OpenFile(reading: path).size
        }
        return result
    }

    /// The new file is complete and durable before it is renamed over the old one.
    private func seal(_ first: Offset, end: Offset, _ path: String) throws(KappaError) {
        let newPath = path + SealLock.suffix
        let output: OpenFile
        do throws(IOFailure) {
            output = OpenFile(
                try files.open(newPath, O_RDWR | O_CREAT | O_TRUNC), path: newPath)
        } catch {
            throw error.error("cannot create a sealed segment", at: newPath)
        }
        let reader = try LogReader(folder, countsEvents: true)
        try reader.seek(to: first)
        let buffer = BlockBuffer()
        var position = 0
        while let block = try reader.next(into: buffer, upTo: end) {
            let bytes = try encoded(block)
            do throws(IOFailure) {
                try files.write(output.descriptor, bytes, at: position)
            } catch {
                try? files.remove(newPath)
                throw error.error("cannot write a sealed segment", at: newPath)
            }
            position += bytes.count
        }
        guard reader.offset == end else {
            try? files.remove(newPath)
            throw KappaError(
                .damaged, "a segment ends early", at: "\(path), offset \(reader.offset)",
                because: "the next one begins at offset \(end)",
                advice: "Nothing was changed. Run `kappa log verify`")
        }
        do throws(IOFailure) {
            try files.sync(output.descriptor)
            try files.rename(newPath, to: path)
            try files.syncFolder(folder)
        } catch {
            try? files.remove(newPath)
            throw error.error("cannot put a sealed segment in place", at: path)
        }
    }

    private func encoded(_ block: LogBlock) throws(KappaError) -> [UInt8] {
        var runs: [UInt8] = []
        for run in Self.joined(block.runs) { run.encode(into: &runs) }
        var header = BlockHeader(
            firstOffset: block.firstOffset, events: block.events, runsSize: runs.count,
            payloadSize: block.payload.count, payloadCRC: crc32c(block.payload),
            digestBefore: block.digestBefore)
        guard compress else { return header.encoded(runs: runs) + Array(block.payload) }
        var stored = [UInt8](repeating: 0, count: ZSTD_compressBound(block.payload.count))
        let count = stored.withUnsafeMutableBytes { target in
            ZSTD_compress(
                target.baseAddress, target.count, block.payload.baseAddress, block.payload.count, 3)
        }
        guard ZSTD_isError(count) == 0 else {
            throw KappaError(
                .bug, "zstd cannot compress a block",
                because: String(cString: ZSTD_getErrorName(count)))
        }
        header.codec = .zstd
        header.storedSize = count
        return header.encoded(runs: runs) + stored[0..<count]
    }

    /// Combines consecutive runs that have the same time and source.
    private static func joined(_ runs: [IngestionRun]) -> [IngestionRun] {
        var result: [IngestionRun] = []
        for run in runs {
            if var last = result.last, last.ingestedAtMicros == run.ingestedAtMicros,
                last.source?.name == run.source?.name
            {
                last.events += run.events
                last.source = run.source
                result[result.count - 1] = last
            } else {
                result.append(run)
            }
        }
        return result
    }
}

/// The log's lock, held by one process and one batch at a time.
struct FileLock {
    private let file: OpenFile

    init(_ file: OpenFile) throws(KappaError) {
        self.file = file
        do throws(IOFailure) { try LockWatch.lock(file, LOCK_EX) } catch {
            throw error.error("cannot lock the log", at: file.path)
        }
    }

    func unlock() { flock(file.descriptor, LOCK_UN) }
}

/// Held by the one process that seals a log. Its holder may remove the files that an earlier holder left when
/// it died.
struct SealLock {
    static let suffix = ".sealing"
    private let folder: String
    private let files: any FileSystem
    private let file: OpenFile

    /// Nil while another holder has it.
    init?(_ folder: String, _ files: any FileSystem) throws(KappaError) {
        self.folder = folder
        self.files = files
        let path = folder + "/seal.lock"
        do throws(IOFailure) {
            file = OpenFile(try files.open(path, O_RDWR | O_CREAT), path: path)
        } catch {
            throw error.error("cannot open the lock of the log's sealing", at: path)
        }
        if flock(file.descriptor, LOCK_EX | LOCK_NB) != 0 { return nil }
    }

    func unlock() { flock(file.descriptor, LOCK_UN) }

    func removeLeftovers() {
        for name in Folder.allNames(in: folder) ?? [] where name.hasSuffix(".log" + Self.suffix) {
            try? files.remove(folder + "/" + name)
        }
    }
}
