import CKappa
import Glibc

/// The pages of a new version's file that kappa writes itself, behind those that SQLite has made.
///
/// The file has no reader yet: it gets its name when it is whole (see ``VersionStore``).
final class BulkFile {
    private let file: OpenFile
    private var pages: UInt32
    /// Pages that wait to be written together, and the first one's number.
    private var waiting: [UInt8] = []
    private var waitingFirst: UInt32 = 0
    /// Writes while further pages are being filled.
    private let writer: PageWriter

    private static let writeBytes = 1 << 20

    /// Opens a database that SQLite has made and closed, or one that was left with so many pages.
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
        // What was written behind them is not known to be whole.
        do { try SystemFiles().truncate(file.descriptor, to: Int(pages) * BulkPage.size) } catch {
            throw error.error("cannot cut a new version's file", at: path)
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
        // Swapped, so that nobody else holds what is written.
        var bytes: [UInt8] = []
        swap(&bytes, &waiting)
        waiting = try writer.write(bytes, at: position)
        waiting.reserveCapacity(Self.writeBytes + BulkPage.size)
    }

    /// Has all pages that were written reach the disk.
    func makeDurable() throws(KappaError) {
        try flush()
        try writer.makeDurable()
    }

    /// Writes what waits, and tells the file's header how many pages there are.
    ///
    /// The count is believed only where the header's two change counters are equal, as they are in a
    /// file that SQLite has just made.
    func finish() throws(KappaError) {
        try flush()
        var count: [UInt8] = []
        count.append(bigEndian: pages)
        _ = try writer.write(count, at: 28)
        try writer.finish()
    }
}

/// Writes pieces of a file on a thread of its own, in the order in which they come. Another thread sees to
/// it that they reach the disk meanwhile, so that little is left to wait for at the end. Where no thread
/// can be made, who hands a piece over writes it.
private final class PageWriter: Sendable {
    private struct State {
        var pieces: [(bytes: [UInt8], position: Int)] = []
        /// Memory of pieces that were written, for others.
        var idle: [[UInt8]] = []
        var isWriting = false
        var isEnded = false
        /// Bytes that were written since the disk was told to keep them.
        var unsyncedBytes = 0
        var failure: IOFailure?

        mutating func note(_ failure: IOFailure) { self.failure = self.failure ?? failure }
    }

    private let file: OpenFile
    private let state = Monitor(State())
    private let writer: WorkerThread?
    private let syncer: WorkerThread?

    /// So many pieces may wait until whoever makes them waits, too.
    private static let mostPieces = 8
    /// So many bytes are worth a call: some hundredths of a second's work for a disk.
    private static let syncBytes = 1 << 24

    init(_ file: OpenFile) {
        self.file = file
        let state = state
        writer = try? WorkerThread("kappa-pages") {
            while let piece = Self.nextPiece(state) { Self.write(piece, to: file, state) }
        }
        syncer = try? WorkerThread("kappa-sync") {
            while Self.waitForBytes(state) {
                // A failure is told once: it must not be lost.
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
            // The disk has something to do until all is to be durable.
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

    /// Waits until there is something for the disk to keep; false at the end.
    private static func waitForBytes(_ state: Monitor<State>) -> Bool {
        state.wait { state -> Bool? in
            if state.isEnded { return false }
            guard state.unsyncedBytes >= syncBytes else { return nil }
            state.unsyncedBytes = 0
            return true
        }
    }

    /// Has bytes written; returns memory for further ones.
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

    /// Waits until all that came so far has reached the disk.
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
