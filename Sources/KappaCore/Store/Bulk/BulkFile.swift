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

    /// Opens a database that SQLite has made and closed.
    init(_ path: String) throws(KappaError) {
        do { file = OpenFile(try SystemFiles().open(path, O_RDWR), path: path) } catch {
            throw error.error("cannot open a new version's file", at: path)
        }
        guard file.size % BulkPage.size == 0 else {
            throw KappaError(.bug, "a new version's file has no whole pages", at: path)
        }
        pages = UInt32(file.size / BulkPage.size)
        writer = PageWriter(file)
    }

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
        try writer.write(waiting, at: Int(waitingFirst - 1) * BulkPage.size)
        waiting = []
        waiting.reserveCapacity(Self.writeBytes)
    }

    /// Writes what waits, and tells the file's header how many pages there are.
    ///
    /// The count is believed only where the header's two change counters are equal, as they are in a
    /// file that SQLite has just made.
    func finish() throws(KappaError) {
        try flush()
        try writer.write(withUnsafeBytes(of: pages.bigEndian) { Array($0) }, at: 28)
        try writer.finish()
    }
}

/// Writes pieces of a file on a thread of its own, in the order in which they come.
private final class PageWriter: Sendable {
    private struct State {
        var pieces: [(bytes: [UInt8], position: Int)] = []
        var isEnded = false
        var failure: IOFailure?
    }

    private let path: String
    private let state = Monitor(State())
    private let thread: WorkerThread

    /// So many pieces may wait until whoever makes them waits, too.
    private static let mostPieces = 8

    init(_ file: OpenFile) {
        path = file.path
        let state = state
        thread = WorkerThread("kappa-pages") {
            while let piece = Self.next(state) {
                do throws(IOFailure) {
                    try SystemFiles().write(file.descriptor, piece.bytes, at: piece.position)
                } catch { state.withLock { $0.failure = $0.failure ?? error } }
            }
        }
    }

    deinit { state.withLock { $0.isEnded = true } }

    private static func next(_ state: Monitor<State>) -> (bytes: [UInt8], position: Int)? {
        state.wait { state -> (bytes: [UInt8], position: Int)?? in
            if let piece = state.pieces.first {
                state.pieces.removeFirst()
                return .some(piece)
            }
            return state.isEnded ? .some(nil) : nil
        }
    }

    func write(_ bytes: [UInt8], at position: Int) throws(KappaError) {
        let failure = state.wait { state -> IOFailure?? in
            if let failure = state.failure { return .some(failure) }
            guard state.pieces.count < Self.mostPieces else { return nil }
            state.pieces.append((bytes, position))
            return .some(nil)
        }
        if let failure { throw error(failure) }
    }

    /// Waits until all is written.
    func finish() throws(KappaError) {
        state.withLock { $0.isEnded = true }
        thread.join()
        if let failure = state.withLock({ $0.failure }) { throw error(failure) }
    }

    private func error(_ failure: IOFailure) -> KappaError {
        failure.error("cannot write a new version's rows", at: path)
    }
}
