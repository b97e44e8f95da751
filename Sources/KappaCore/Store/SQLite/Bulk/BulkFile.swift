import CKappa
import Glibc

/// The pages of a new version's file that kappa writes itself, after those that SQLite has made.
///
/// The file has no reader yet: it gets its name when it is complete (see ``NewVersionFile``).
final class BulkFile {
    private let file: OpenFile
    private var pages: UInt32
    /// Pages that wait to be written together, and the first one's number.
    private var waiting: [UInt8] = []
    private var waitingFirst: UInt32 = 0
    /// Writes pages while further ones are being filled.
    private let writer: PageWriter

    private static let writeBytes = 1 << 20

    /// Opens a database that SQLite has made and closed, or an unfinished file with its `known` number of
    /// pages.
    init(_ path: String, pages known: UInt32? = nil) throws(KappaError) {
        do { file = OpenFile(try SystemFiles().open(path, O_RDWR), path: path) } catch {
            if known != nil, error.number == ENOENT { throw Self.missing(path) }
            throw error.error("cannot open a new version's file", at: path)
        }
        let whole = file.size / BulkPage.size
        guard known.map({ Int($0) <= whole }) ?? (file.size % BulkPage.size == 0) else {
            throw Self.missing(path)
        }
        pages = known ?? UInt32(whole)
        // Whatever was written after them may be incomplete.
        do { try SystemFiles().truncate(file.descriptor, to: Int(pages) * BulkPage.size) } catch {
            throw error.error("cannot truncate a new version's file", at: path)
        }
        writer = PageWriter(file)
    }

    private static func missing(_ path: String) -> KappaError {
        KappaError(.damaged, "pages of a new version's file are missing", at: path)
    }

    var pageCount: UInt32 { pages }

    /// The number of a new page. Pages are counted from one.
    func allocate() -> UInt32 {
        pages += 1
        if pages == Self.lockPage { pages += 1 }
        return pages
    }

    /// SQLite locks bytes of this page and keeps nothing in it
    /// (https://www.sqlite.org/fileformat2.html, section 1.4).
    static let lockPage = UInt32((1 << 30) / BulkPage.size) + 1

    func write(_ page: some Sequence<UInt8>, at number: UInt32) throws(KappaError) {
        let next = waitingFirst + UInt32(waiting.count / BulkPage.size)
        if waiting.isEmpty || number != next || waiting.count >= Self.writeBytes {
            try flush()
            waitingFirst = number
        }
        waiting += page
    }

    private func flush() throws(KappaError) {
        guard !waiting.isEmpty else { return }
        let position = Int(waitingFirst - 1) * BulkPage.size
        // Swapped, so that no other variable holds the bytes.
        var bytes: [UInt8] = []
        swap(&bytes, &waiting)
        waiting = try writer.write(bytes, at: position)
        waiting.reserveCapacity(Self.writeBytes + BulkPage.size)
    }

    /// Makes all pages that were written durable.
    func makeDurable() throws(KappaError) {
        try flush()
        try writer.makeDurable()
    }

    /// Writes the pages that wait, and the number of all pages into the file's header.
    ///
    /// SQLite trusts that number only where the header's two change counters are equal, as they are in a
    /// file that it has just made.
    func finish() throws(KappaError) {
        try flush()
        var count: [UInt8] = []
        count.append(bigEndian: pages)
        _ = try writer.write(count, at: 28)
        try writer.finish()
    }
}

/// Writes pieces of a file on a thread of its own, in the order in which they come. Another thread syncs
/// them meanwhile, so that there is little to wait for at the end. If no thread can be started, the caller
/// that hands over a piece writes it.
private final class PageWriter: Sendable {
    private struct State {
        var pieces: [(bytes: [UInt8], position: Int)] = []
        /// The memory of pieces that were written, for reuse.
        var idle: [[UInt8]] = []
        var isWriting = false
        var isEnded = false
        /// Bytes that were written since the last sync.
        var unsyncedBytes = 0
        var failure: IOFailure?

        mutating func note(_ failure: IOFailure) { self.failure = self.failure ?? failure }
    }

    private let file: OpenFile
    private let state = Monitor(State())
    private let writer: WorkerThread?
    private let syncer: WorkerThread?

    /// With this many pieces waiting, the thread that makes them waits, too.
    private static let mostPieces = 8
    /// This many bytes are worth a sync: they take a disk some hundredths of a second.
    private static let syncBytes = 1 << 24

    init(_ file: OpenFile) {
        self.file = file
        let state = state
        writer = try? WorkerThread("kappa-pages") {
            while let piece = Self.nextPiece(state) { Self.write(piece, to: file, state) }
        }
        syncer = try? WorkerThread("kappa-sync") {
            while Self.waitForBytes(state) {
                // The system reports a failure only once, so it must not be lost.
                do throws(IOFailure) { try SystemFiles().sync(file.descriptor) } catch {
                    state.withLock { $0.note(error) }
                }
            }
        }
    }

    private static func write(
        _ piece: consuming (bytes: [UInt8], position: Int), to file: OpenFile,
        _ state: Monitor<State>
    ) {
        do throws(IOFailure) {
            try SystemFiles().write(file.descriptor, piece.bytes, at: piece.position)
            // Keeps the disk busy until everything has to be durable.
            kappa_start_writing(file.descriptor, Int64(piece.position), Int64(piece.bytes.count))
        } catch { state.withLock { $0.note(error) } }
        var memory = piece.bytes
        let count = memory.count
        memory.removeAll(keepingCapacity: true)
        let idle = memory
        state.withLock {
            $0.isWriting = false
            $0.unsyncedBytes += count
            $0.idle.append(idle)
        }
    }

    deinit { state.withLock { $0.isEnded = true } }

    private static func nextPiece(
        _ state: Monitor<State>
    ) -> (bytes: [UInt8], position: Int)? {
        state.wait { state -> (bytes: [UInt8], position: Int)?? in
            if let piece = state.pieces.first {
                state.pieces.removeFirst()
                state.isWriting = true
                return .some(piece)
            }
            return state.isEnded ? .some(nil) : nil
        }
    }

    /// Waits until there is enough for a sync; false at the end.
    private static func waitForBytes(_ state: Monitor<State>) -> Bool {
        state.wait { state -> Bool? in
            if state.isEnded { return false }
            guard state.unsyncedBytes >= syncBytes else { return nil }
            state.unsyncedBytes = 0
            return true
        }
    }

    /// Queues bytes to be written; returns memory for the next ones.
    func write(
        _ bytes: consuming [UInt8], at position: Int
    ) throws(KappaError) -> [UInt8] {
        let result = state.wait { state -> Result<[UInt8], IOFailure>? in
            if let failure = state.failure { return .failure(failure) }
            guard state.pieces.count < Self.mostPieces else { return nil }
            state.pieces.append((bytes, position))
            return .success(state.idle.popLast() ?? [])
        }
        if writer == nil, let piece = Self.nextPiece(state) { Self.write(piece, to: file, state) }
        do { return try result.get() } catch { throw self.error(error) }
    }

    /// Waits until everything that came so far is durable.
    func makeDurable() throws(KappaError) {
        let failure = state.wait { state -> IOFailure?? in
            if let failure = state.failure { return .some(failure) }
            return state.pieces.isEmpty && !state.isWriting ? .some(nil) : nil
        }
        if let failure { throw error(failure) }
        do { try SystemFiles().sync(file.descriptor) } catch { throw self.error(error) }
    }

    /// Waits until all is written.
    func finish() throws(KappaError) {
        state.withLock { $0.isEnded = true }
        writer?.join()
        syncer?.join()
        if let failure = state.withLock({ $0.failure }) { throw error(failure) }
    }

    private func error(_ failure: IOFailure) -> KappaError {
        failure.error("cannot write a new version's rows", at: file.path)
    }
}
