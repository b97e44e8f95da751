import Glibc

/// Appends events to the log. Any number of threads and processes may append at once.
///
/// An append is acknowledged when it returns: its events are on the disk. Appends of several threads that
/// wait for the disk at the same time share one fsync.
package final class LogWriter: Sendable {
    package let folder: String
    /// What recovery found and did when the log was opened, as sentences for people.
    package let warnings: [String]
    private let segmentBytes: Int
    private let files: any FileSystem
    private let lockFile: OpenFile
    private let headFile: OpenFile
    private let state: Monitor<State>

    private struct State {
        var queue: [Request] = []
        var isCommitting = false
        /// What this writer knows of the log's end; another process may have appended since.
        var tail: LogTail
        /// Set for good once an fsync has failed.
        var failure: KappaError?
    }

    /// One caller's append. The thread that commits it sets its result.
    ///
    /// `@unchecked Sendable`: the result is only touched with the writer's state locked.
    private final class Request: @unchecked Sendable {
        let append: Append
        let tick: LogTick?
        var result: Result<AppendResult, KappaError>?
        init(_ append: Append, tick: LogTick? = nil) {
            self.append = append
            self.tick = tick
        }
        var lines: EventLines { append.lines }
        /// Whether it may share a block with others.
        var isPlain: Bool { append.source == nil && append.condition == nil && tick == nil }
    }

    /// What a caller wants appended.
    package struct Append: Sendable {
        var lines: EventLines
        /// Where the events come from; events that the log has already are skipped then.
        var source: SourceBatch?
        var condition: AppendCondition?

        package init(
            _ lines: EventLines, source: SourceBatch? = nil, condition: AppendCondition? = nil
        ) {
            self.lines = lines
            self.source = source
            self.condition = condition
        }
    }

    package struct AppendResult: Equatable, Sendable {
        package var firstOffset: Offset
        package var nextOffset: Offset
        package var appended: Int
        /// How many events the log already held, by source and position.
        package var skipped: Int
    }

    /// Opens the log in `folder`, creating it if it does not exist, and recovers it after a crash.
    /// - Parameter segmentBytes: The size from which a new segment is started.
    package init(
        _ folder: String, segmentBytes: Int = 256 << 20, files: any FileSystem = SystemFiles()
    ) throws(KappaError) {
        self.folder = folder
        self.segmentBytes = segmentBytes
        self.files = files
        try Self.makeFolder(folder, files)
        lockFile = try Self.open(folder + "/lock", files)
        headFile = try Self.open(LogHead.path(folder), files)
        let lock = try FileLock(lockFile)
        defer { lock.unlock() }
        let published = try LogHead.read(headFile, isLocked: true)
        let recovered = try LogRecovery.recover(folder, published: published, files: files)
        warnings = recovered.warnings
        let names = Folder.allNames(in: folder) ?? []
        if names.contains(where: { $0.hasSuffix(SealLock.suffix) }),
            let sealing = try? SealLock(folder, files)
        {
            sealing.removeLeftovers()
            sealing.unlock()
        }
        if recovered.head != published {
            // First make the names durable, also that of a segment started by a writer that died. Only then
            // do readers see it.
            do { try files.syncFolder(folder) } catch {
                throw error.error("cannot make the log's folder durable", at: folder)
            }
            try Self.publish(recovered.head, headFile, files)
        }
        state = Monitor(State(tail: LogTail(folder: folder, head: recovered.head)))
    }

    /// Appends events and returns once they are durable.
    /// - Throws: `.inputOutput` if they could not be made durable; then none of them counts as appended.
    ///   After a failed fsync the writer refuses everything until the log is reopened.
    package func append(
        _ lines: EventLines, source: SourceBatch? = nil
    ) throws(KappaError) -> AppendResult {
        let results = perform([Request(Append(lines, source: source))])
        return try results[0].get()
    }

    /// Appends for several callers, with one fsync for all of them if they fit in one commit; returns the
    /// result of each.
    func append(group: [Append]) -> [Result<AppendResult, KappaError>] {
        group.isEmpty ? [] : perform(group.map { Request($0) })
    }

    /// Appends a tick and returns once it is durable.
    /// - Returns: Where it is; nothing is appended if a source is declared already.
    /// - Throws: `.notFound` if the log has no such source; else as ``append(_:source:)``.
    package func append(_ tick: LogTick) throws(KappaError) -> AppendResult {
        if case .declaration(let source) = tick { try SourceBatch.check(name: source) }
        return try perform([Request(Append(EventLines()), tick: tick)])[0].get()
    }

    /// Waits until the requests are committed, by this thread or by one that is already committing.
    private func perform(_ requests: [Request]) -> [Result<AppendResult, KappaError>] {
        state.withLock { $0.queue += requests }
        while true {
            // Either the requests get their results, or no thread is committing and this one has to. They
            // are committed together: once the last one has a result, all have.
            let results = state.wait { state -> [Result<AppendResult, KappaError>]?? in
                if requests.last?.result != nil { return .some(requests.compactMap(\.result)) }
                if state.isCommitting { return nil }
                state.isCommitting = true
                return .some(nil)
            }
            if let results { return results }
            commitQueue()
        }
    }

    /// How far a source is in the log.
    package func sourcePoint(of name: String) throws(KappaError) -> SourcePoint {
        try exclusively { tail throws(KappaError) in try tail.sourcePoint(of: name) }
    }

    /// Starts a new segment, so that those before it can be sealed.
    /// - Returns: The new segment. The head that names it is durable: after a power loss, an older head that
    ///   points into a segment since sealed would look like damage.
    package func roll() throws(KappaError) -> Offset {
        try exclusively { tail throws(KappaError) in
            if tail.head.segmentBytes > 0 { try tail.roll(files) }
            // The head is written in any case: if an earlier sync failed, syncing alone would do nothing.
            try Self.publish(tail.head, headFile, files)
            do throws(IOFailure) { try files.sync(headFile.descriptor) } catch {
                throw error.error("cannot make the log's end durable", at: headFile.path)
            }
            return tail.head.segment
        }
    }

    // MARK: Committing

    /// Runs `body` at the log's end while neither another thread nor another process commits.
    ///
    /// The file lock belongs to the open file, which the threads of this process share; between these
    /// threads, `isCommitting` is the lock.
    private func exclusively<R>(
        _ body: (inout LogTail) throws(KappaError) -> R
    ) throws(KappaError) -> R {
        var (tail, failure) = state.wait { state -> (LogTail, KappaError?)? in
            if state.isCommitting { return nil }
            state.isCommitting = true
            return (state.tail, state.failure)
        }
        defer {
            state.withLock { state in
                state.tail = tail
                state.isCommitting = false
            }
        }
        if let failure { throw failure }
        let lock = try FileLock(lockFile)
        defer { lock.unlock() }
        try catchUp(&tail)
        return try body(&tail)
    }

    /// Continues where another process left the log. The caller holds the lock.
    ///
    /// What this writer remembers of the end never stands in for the head: another process may have appended
    /// since, and its events would be overwritten.
    private func catchUp(_ tail: inout LogTail) throws(KappaError) {
        // With another file under one of these names, other processes append to another log, or without
        // waiting for this one.
        for file in [lockFile, headFile] {
            if let loss = file.nameLoss { throw Self.unknownEnd(file, because: loss) }
        }
        guard let head = try LogHead.read(headFile, isLocked: true) else {
            throw Self.unknownEnd(headFile, because: "it was overwritten while the log was open")
        }
        tail.follow(head)
    }

    private static func unknownEnd(_ file: OpenFile, because reason: String) -> KappaError {
        KappaError(
            .damaged, "the log's end is not known", at: file.path, because: reason,
            advice: "Nothing was appended. Start again: the log recovers when it is opened")
    }

    /// Commits the queued requests. The caller has set `isCommitting`; it is cleared on return.
    private func commitQueue() {
        let (requests, tail, failure) = state.withLock { state in
            let requests = state.queue
            state.queue = []
            return (requests, state.tail, state.failure)
        }
        var newTail = tail
        var broken = failure
        let results: [Result<AppendResult, KappaError>]
        if let failure {
            results = requests.map { _ in .failure(failure) }
        } else {
            do throws(KappaError) {
                results = try commit(requests, &newTail, &broken)
            } catch {
                results = requests.map { _ in .failure(error) }
            }
        }
        state.withLock { state in
            for (request, result) in zip(requests, results) { request.result = result }
            state.tail = newTail
            state.failure = broken
            state.isCommitting = false
        }
    }

    private func commit(
        _ requests: [Request], _ tail: inout LogTail, _ broken: inout KappaError?
    ) throws(KappaError) -> [Result<AppendResult, KappaError>] {
        let lock = try FileLock(lockFile)
        defer { lock.unlock() }
        try catchUp(&tail)
        if tail.head.segmentBytes >= segmentBytes || tail.hasNextSegment { try tail.roll(files) }
        tail.beginCommit()
        let before = tail
        var results: [Result<AppendResult, KappaError>] = []
        do throws(KappaError) {
            if requests.contains(where: { $0.append.source != nil || $0.tick != nil }) {
                try tail.findSources()
            }
            let judges = requests.contains { $0.append.condition != nil }
            var written: AppendCondition.Written = []
            var rest = requests[...]
            while let request = rest.first {
                // Plain appends that wait together share blocks.
                let together = rest.prefix(while: \.isPlain)
                let first = tail.head.nextOffset
                if together.count > 1 {
                    results += try write(together, &tail)
                } else if let refusal = try request.append.condition?.refusal(
                    in: folder, to: before.head.nextOffset, written: written)
                {
                    results.append(.failure(refusal))
                } else {
                    results.append(try write(request, &tail))
                }
                let taken = rest.prefix(max(1, together.count))
                rest = rest.dropFirst(taken.count)
                guard judges, tail.head.nextOffset > first else { continue }
                var lines = EventLines()
                for request in taken { lines.append(request.lines) }
                // What the log had already, by source, comes first.
                lines.removeFirst(lines.count - (tail.head.nextOffset - first))
                written.append((first, lines))
            }
            try tail.flush(files)
        } catch {
            // What was written of the batch is not part of the log, so it is cut off again.
            tail = before
            tail.cutBack(files)
            throw error
        }
        guard tail.head != before.head else { return results }
        do throws(IOFailure) { try tail.sync(files) } catch {
            // The kernel may have dropped the pages, so what the file holds now is not known.
            let failure = KappaError(
                .inputOutput, "the log could not be made durable",
                at: SegmentFiles.path(folder, tail.head.segment), because: error.reason,
                advice: "The events are not acknowledged. Check the disk, then start again: "
                    + "the log recovers when it is opened")
            broken = failure
            tail = before
            throw failure
        }
        do throws(KappaError) { try Self.publish(tail.head, headFile, files) } catch {
            // A half-written head would stop all readers and writers, so the old one is put back.
            try? Self.publish(before.head, headFile, files)
            tail = before
            tail.cutBack(files)
            throw error
        }
        return results
    }

    private func write(
        _ requests: ArraySlice<Request>, _ tail: inout LogTail
    ) throws(KappaError) -> [Result<AppendResult, KappaError>] {
        var lines = EventLines()
        var results: [Result<AppendResult, KappaError>] = []
        for request in requests {
            let first = tail.head.nextOffset + lines.count
            lines.append(request.lines)
            results.append(
                .success(
                    AppendResult(
                        firstOffset: first, nextOffset: first + request.lines.count,
                        appended: request.lines.count, skipped: 0)))
        }
        try tail.append(lines, files)
        return results
    }

    /// A batch that does not fit its source fails alone, not those that share its fsync.
    private func write(
        _ request: Request, _ tail: inout LogTail
    ) throws(KappaError) -> Result<AppendResult, KappaError> {
        let first = tail.head.nextOffset
        var skipped = 0
        do throws(KappaError) {
            if let tick = request.tick {
                try tail.append(tick, files)
            } else if let source = request.append.source {
                skipped = try tail.append(source, request.lines, files)
            } else {
                try tail.append(request.lines, files)
            }
        } catch {
            let isOwn = [.badInput, .usage, .heldElsewhere, .notFound].contains(error.code)
            guard isOwn, tail.head.nextOffset == first else { throw error }
            return .failure(error)
        }
        return .success(
            AppendResult(
                firstOffset: first, nextOffset: tail.head.nextOffset,
                appended: tail.head.nextOffset - first, skipped: skipped))
    }

    // MARK: Files

    private static func publish(
        _ head: LogHead, _ file: OpenFile, _ files: any FileSystem
    ) throws(KappaError) {
        do {
            try files.write(file.descriptor, head.encoded, at: 0)
        } catch {
            throw error.error("cannot publish the log's end", at: file.path)
        }
    }

    private static func open(
        _ path: String, _ files: any FileSystem
    ) throws(KappaError) -> OpenFile {
        do {
            return OpenFile(try files.open(path, O_RDWR | O_CREAT), path: path)
        } catch {
            throw error.error("cannot open the log for writing", at: path)
        }
    }

    private static func makeFolder(
        _ path: String, _ files: any FileSystem
    ) throws(KappaError) {
        if try IOFailure.isThere(path) { return }
        let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        if !parent.isEmpty { try makeFolder(parent, files) }
        if mkdir(path, 0o755) != 0, errno != EEXIST {
            throw IOFailure("mkdir", errno).error(creating: "the data folder", at: path)
        }
        do { try files.syncFolder(parent.isEmpty ? "/" : parent) } catch {
            throw error.error("cannot make a new folder durable", at: parent)
        }
    }
}
