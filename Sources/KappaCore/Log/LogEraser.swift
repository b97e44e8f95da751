import Glibc

/// Erases events from the log: each one leaves a tombstone, at the same offset, which no view takes. The log's
/// digests stay as they were.
///
/// The segments of the events are written anew, so their bytes are gone from the log's files. What views made
/// of the events is not touched here.
package struct LogEraser {
    private let folder: String
    private let files: any FileSystem

    package init(_ folder: String, files: any FileSystem = SystemFiles()) {
        self.folder = folder
        self.files = files
    }

    /// Erases the events at these offsets. If it is interrupted, ``resume()`` or the next call completes it.
    /// - Returns: How many events were erased; those that were erased before do not count.
    /// - Throws: `.notFound` if the log does not have one of the offsets; nothing is erased then.
    package func erase(_ offsets: some Sequence<Offset>) throws(KappaError) -> Int {
        let offsets = Set(offsets)
        if offsets.isEmpty { return try resume() }
        let reader = try LogReader(folder)
        let durable = try reader.firstOffset..<(try reader.durableEnd())
        if let missing = offsets.filter({ !durable.contains($0) }).min() {
            throw KappaError(
                .notFound, "the log has no event at offset \(missing)", at: folder,
                because: "it has those from \(durable.lowerBound) to before \(durable.upperBound)",
                advice: "Nothing was erased")
        }
        let lock = try SealLock.take(folder, files)
        defer { lock.unlock() }
        let wanted = offsets.union(try EraseIntent.read(folder))
        try EraseIntent.write(wanted, folder, files)
        return try rewrite(wanted)
    }

    /// Completes an erasing that was interrupted.
    package func resume() throws(KappaError) -> Int {
        let lock = try SealLock.take(folder, files)
        defer { lock.unlock() }
        let wanted = try EraseIntent.read(folder)
        return wanted.isEmpty ? 0 : try rewrite(wanted)
    }

    private func rewrite(_ wanted: Set<Offset>) throws(KappaError) -> Int {
        // A segment that is written to is not rewritten.
        let end = try LogWriter(folder, files: files).roll()
        let firsts = try SegmentFiles.list(folder).filter { $0 <= end }
        var erased = 0
        for (first, next) in zip(firsts, firsts.dropFirst()) {
            let own = wanted.filter { (first..<next).contains($0) }
            if own.isEmpty { continue }
            let rewrite = SegmentRewrite(folder, first..<next, compress: false, files)
            try rewrite.run { block throws(KappaError) in
                let change = Self.erase(own, in: block)
                erased += change?.erased ?? 0
                return change.map { ($0.runs, $0.payload) }
            }
        }
        try EraseIntent.remove(folder, files)
        return erased
    }

    /// The runs and the payload of a block without these events; nil if it has none of them.
    private static func erase(
        _ offsets: Set<Offset>, in block: LogBlock
    ) -> (runs: [IngestionRun], payload: [UInt8], erased: Int)? {
        var runs = block.runs
        let old = block.runs
        var payload: [UInt8] = []
        var erased = 0
        var (run, first) = (0, 0)
        var rest = block.payload
        for index in 0..<block.events {
            while run < runs.count, index >= first + runs[run].events {
                first += runs[run].events
                run += 1
            }
            guard run < runs.count, let end = BlockLines.end(of: 1, in: rest) else { break }
            let line = UnsafeRawBufferPointer(rebasing: rest[..<end])
            rest = .init(rebasing: rest[end...])
            let isNew =
                offsets.contains(block.firstOffset + index)
                && !old[run].hasErased(index - first) && old[run].tick == nil
            guard isNew else {
                payload += line
                continue
            }
            erased += 1
            runs[run].erased.append(
                .init(index: index - first, bytes: line.count, crc: crc32c(line)))
            payload += IngestionRun.tombstone
        }
        if erased == 0 { return nil }
        for index in runs.indices { runs[index].erased.sort { $0.index < $1.index } }
        return (runs, payload, erased)
    }
}

/// The file that says which events are being erased, until all are: `KPE1`, the checksum of the offsets, and
/// the offsets, 64 bits each.
enum EraseIntent {
    private static let magic: UInt32 = 0x3145_504B
    private static func path(_ folder: String) -> String { folder + "/erasing" }

    /// Empty if nothing is being erased.
    static func read(_ folder: String) throws(KappaError) -> Set<Offset> {
        let path = path(folder)
        if try !IOFailure.isThere(path) { return [] }
        let file = try OpenFile(reading: path)
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: file.size, alignment: 8)
        defer { memory.deallocate() }
        let count = try file.read(memory, at: 0)
        let bytes = UnsafeRawBufferPointer(memory)
        if count == bytes.count, count >= 8, bytes.prefix(3).elementsEqual("KPE".utf8),
            bytes.number(UInt32.self, at: 0) != magic,
            bytes.number(UInt32.self, at: 4) == crc32c(.init(rebasing: bytes[8...]))
        {
            throw KappaError(
                .usage, "the list of events to be erased cannot be read", at: path,
                because: "it has a later format, and this kappa reads format 1",
                advice: "A newer kappa has written it: use that one. Nothing was changed")
        }
        guard count == bytes.count, count >= 8, count % 8 == 0,
            bytes.number(UInt32.self, at: 0) == magic,
            bytes.number(UInt32.self, at: 4) == crc32c(.init(rebasing: bytes[8...]))
        else {
            throw KappaError(
                .damaged, "the list of events to be erased cannot be read", at: path,
                because: "it does not fit its checksum",
                advice: "Remove the file, and erase the events again")
        }
        return Set(
            stride(from: 8, to: count, by: 8).map { Offset(bytes.number(UInt64.self, at: $0)) })
    }

    /// Written under another name first, so that it is whole or not there.
    static func write(
        _ offsets: Set<Offset>, _ folder: String, _ files: any FileSystem
    ) throws(KappaError) {
        var list: [UInt8] = []
        for offset in offsets.sorted() { list.append(number: offset.rawValue) }
        var bytes: [UInt8] = []
        bytes.append(number: magic)
        bytes.append(number: list.withUnsafeBytes { crc32c($0) })
        let new = path(folder) + ".new"
        do throws(IOFailure) {
            let file = OpenFile(
                try files.open(new, O_RDWR | O_CREAT | O_TRUNC), path: new)
            try files.write(file.descriptor, bytes + list, at: 0)
            try files.sync(file.descriptor)
            try files.rename(new, to: path(folder))
            try files.syncFolder(folder)
        } catch {
            throw error.error("cannot list the events to be erased", at: new)
        }
    }

    static func remove(_ folder: String, _ files: any FileSystem) throws(KappaError) {
        do throws(IOFailure) {
            try files.remove(path(folder))
            try files.syncFolder(folder)
        } catch {
            throw error.error("cannot end the erasing of events", at: path(folder))
        }
    }
}
