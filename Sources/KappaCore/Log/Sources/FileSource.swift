/// A file that grows, through its rotations.
///
/// The file that is open is read to its end after it was renamed, and then the one that has its name. Where the
/// file was copied and cut short instead, reading goes on in the copy. After a restart, the place is found by
/// comparing (``FilePlace``).
package final class FileSource: EventSource {
    private let path: String
    private let name: String
    private var history: SourceHistory?
    private var isFollowing = false
    /// Those that are still to be read, the oldest first; empty where the file does not exist yet.
    private var files: [GrowingFile] = []
    /// All files that there were when they were last looked at, and their sizes. They are kept open, so that no
    /// new file has the number of one of them.
    private var known: [(file: OpenFile, size: Int)] = []
    /// The sizes of the files when the source was opened, where it is not followed.
    private var ends: [Int] = []
    private var position = FilePosition(0)
    /// Whether the next event is the first of another file.
    private var beginsFile = false
    private var notices: [String] = []
    private var isEnded = false
    /// Whether it was said that the file is missing.
    private var saidMissing = false

    /// - Parameter name: The name of the source in the log.
    package init(_ path: String, name: String) {
        self.path = path
        self.name = name
    }

    package var partitions: [String] { [name] }

    package func open(_ histories: [SourceHistory], following: Bool) throws(KappaError) {
        history = histories.first
        isFollowing = following
        position = FilePosition(history?.position ?? 0)
        try begin()
        if files.isEmpty, !following {
            throw KappaError(
                .notFound, "there is no such file", at: path,
                advice: "Check the name; with --follow, kappa waits until the file is there")
        }
        ends = following ? [] : files.map(\.file.size)
    }

    package func next(waitingAtMost wait: Duration) throws(KappaError) -> SourceDelivery {
        let deadline = ContinuousClock.now + wait
        while true {
            if !notices.isEmpty { return .notice(notices.removeFirst()) }
            if isEnded { return .end }
            if files.isEmpty { try begin() }
            if let batch = try nextBatch() { return .batch(batch) }
            if !notices.isEmpty { continue }
            if !isFollowing { return .end }
            if ContinuousClock.now >= deadline { return .nothing }
            Pause.forALook()
        }
    }

    package func lag(of partition: String) throws(KappaError) -> UInt64? {
        var events: UInt64 = 0
        for file in files { events += try file.eventsLeft() }
        return events
    }

    package func close() { files = [] }

    // MARK: Where to read

    /// Finds the place, once the file is there.
    private func begin() throws(KappaError) {
        let isThere = try IOFailure.isThere(path)
        if !isThere {
            if !saidMissing { notices.append("waiting for \(path), which does not exist yet") }
            saidMissing = true
            return
        }
        guard let history else { return }
        if position.rawValue == 0 {
            try beginFile()
            return
        }
        guard let place = try FilePlace.find(path, history) else {
            throw try FilePlace.missing(path, history)
        }
        use(place)
    }

    /// Reads the file from its beginning.
    private func beginFile() throws(KappaError) {
        let all = try RotatedFiles.open(path)
        know(all)
        files = all.filter { $0.path == path }.map { GrowingFile($0) }
    }

    private func know(_ files: [OpenFile]) { known = files.map { ($0, $0.size) } }

    private func use(_ place: FilePlace) {
        know(place.known)
        files = place.files
    }

    /// What to do where a file was cut short or rewritten: go on in its copy, if there is one.
    private func beginAfterTruncation() throws(KappaError) {
        guard isFollowing else {
            throw KappaError(
                .inputOutput, "a file was cut short while it was read", at: path,
                advice: "Pull again: it goes on where it stopped")
        }
        if position.rawValue == 0 {
            let new = try RotatedFiles.open(path).filter { $0.path == path || isNew($0) }
            files = new.map { GrowingFile($0) }
            known += new.map { ($0, $0.size) }
            return
        }
        let now = try history?.updated()
        history = now
        if let now, let place = try FilePlace.find(path, now) {
            use(place)
            beginsFile = false
            return
        }
        notices.append(
            "\(path) was cut short, and there is no copy of what was read; it is read from its "
                + "beginning. Lines that were written to it just before are not in the log")
        try beginFile()
        beginsFile = true
    }

    /// Whether what was read is what follows the part of the file that was taken. Before anything of it is taken,
    /// only a copy that has appeared beside it shows that it was cut short.
    private func isIntact() throws(KappaError) -> Bool {
        if files[0].offset > 0 { return try files[0].isIntact() }
        return try RotatedFiles.open(path).allSatisfy { $0.path == path || !isNew($0) }
    }

    /// Whether a file has appeared since the files were last looked at. An empty one may have been one that the
    /// file was copied into later.
    private func isNew(_ file: OpenFile) -> Bool {
        !known.contains { $0.file.identity == file.identity && $0.size >= file.size }
    }

    /// Adds the files that came after the last one that is known.
    /// - Returns: Whether there are any.
    private func addNewerFiles() throws(KappaError) -> Bool {
        guard let last = files.last, last.file.identity != FileIdentity(of: path) else {
            return false
        }
        let all = try RotatedFiles.open(path)
        let index = all.lastIndex { $0.identity == last.file.identity }
        if let index, all[..<index].contains(where: isNew) {
            // A copy of the last one, which is no longer what it was.
            try beginAfterTruncation()
            return true
        }
        know(all)
        let newer = index.map { Array(all[($0 + 1)...]) } ?? all.filter { $0.path == path }
        files += newer.map { GrowingFile($0) }
        return !newer.isEmpty
    }

    // MARK: Reading

    private func nextBatch() throws(KappaError) -> SourceLines? {
        while !files.isEmpty {
            let lines = try files[0].lines(upTo: ends.first)
            if !lines.isEmpty || files[0].offset > 0 {
                guard try isIntact() else {
                    try beginAfterTruncation()
                    continue
                }
            }
            if !lines.isEmpty {
                if let batch = try batch(of: lines) { return batch }
                continue
            }
            // Whoever writes to a newer file has left this one; that a newer one has lines is seen before this
            // one is read for the last time.
            if files.dropFirst().contains(where: { $0.file.size > 0 }) {
                if try hasLines() { continue }
                if let batch = try unfinishedBatch(isLast: false) { return batch }
                files.removeFirst()
                if !ends.isEmpty { ends.removeFirst() }
                beginsFile = position.rawValue > 0
                continue
            }
            if !isFollowing { return try unfinishedBatch(isLast: true) }
            if try !addNewerFiles() { return nil }
        }
        return nil
    }

    private func hasLines() throws(KappaError) -> Bool {
        try !files[0].lines(upTo: ends.first).isEmpty
    }

    /// A last line without its newline. At the end of the last file it may be one that is just written.
    private func unfinishedBatch(isLast: Bool) throws(KappaError) -> SourceLines? {
        let bytes = try files[0].rest(upTo: ends.first)
        if NDJSON.end(ofEvents: .max, in: bytes).events == 0 { return nil }
        if isLast, (try? NDJSON.events(bytes, 0..<bytes.count, 1, path)) == nil {
            notices.append(
                "the last line of \(path) has no end yet, and is left for the next pull")
            isEnded = true
            return nil
        }
        return try batch(of: bytes)
    }

    /// Takes lines of the first file; nil if there is no event among them.
    private func batch(of lines: [UInt8]) throws(KappaError) -> SourceLines? {
        let first = files[0].line
        // The first event of a file is a batch of its own: the positions before and after it have a gap
        // between them.
        let piece = NDJSON.end(ofEvents: beginsFile ? 1 : .max, in: lines)
        files[0].take(lines[..<piece.end], lines: piece.lines)
        if piece.events == 0 { return nil }
        let before = position
        if beginsFile { position = position.next }
        beginsFile = false
        guard position.add(piece.events) else {
            throw KappaError(
                .badInput, "a file has too many events", at: files[0].path,
                because: "kappa counts up to \(FilePosition.mostEvents) events of each file",
                advice: "Rotate it")
        }
        let isAtEnd = files.count == 1 && files[0].offset == files[0].file.size
        return SourceLines(
            partition: name, position: before.rawValue, next: position.rawValue,
            lines: Array(lines[..<piece.end]), origin: files[0].path, firstLine: first,
            isAtEnd: isAtEnd)
    }
}

/// A position in the files of a source: how many files there were before, and how many events of the present
/// one were read. As a number, its last twelve digits count events.
///
/// The position in the first file is the number of its events, as `kappa append --source` counts them.
struct FilePosition: Equatable {
    static let mostEvents: UInt64 = 1_000_000_000_000
    private(set) var rawValue: UInt64

    init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// The beginning of the present file.
    var start: FilePosition { FilePosition(rawValue - rawValue % Self.mostEvents) }
    /// The beginning of the next file.
    var next: FilePosition { FilePosition(start.rawValue + Self.mostEvents) }

    /// False if the file would have too many.
    mutating func add(_ events: Int) -> Bool {
        rawValue += UInt64(events)
        return rawValue % Self.mostEvents >= UInt64(events)
    }
}
