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

    package init(_ folder: String, zstd: Bool, files: any FileSystem = SystemFiles()) {
        self.folder = folder
        compress = zstd
        self.files = files
    }

    /// Starts a new segment for appends, and seals every segment before it.
    /// - Throws: `.heldElsewhere` while the log's segments are being rewritten by another caller.
    package func seal() throws(KappaError) -> Result {
        let end = try LogWriter(folder, files: files).roll()
        let lock = try SealLock.take(folder, files)
        defer { lock.unlock() }
        var result = Result()
        let firsts = try SegmentFiles.list(folder).filter { $0 <= end }
        for (first, next) in zip(firsts, firsts.dropFirst()) {
            let path = SegmentFiles.path(folder, first)
            let before = try OpenFile(reading: path).size
            try SegmentRewrite(folder, first..<next, compress: compress, files).run()
            result.segments += 1
            result.bytesBefore += before
            result.bytesAfter += try OpenFile(reading: path).size
        }
        return result
    }
}
