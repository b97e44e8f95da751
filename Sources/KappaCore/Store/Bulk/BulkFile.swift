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
    }

    /// The number of a new page. Pages are counted from one.
    func allocate() -> UInt32 {
        pages += 1
        return pages
    }

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
        try write(waiting, at: Int(waitingFirst - 1) * BulkPage.size)
        waiting.removeAll(keepingCapacity: true)
    }

    private func write(_ bytes: [UInt8], at position: Int) throws(KappaError) {
        do throws(IOFailure) { try SystemFiles().write(file.descriptor, bytes, at: position) } catch
        {
            throw error.error("cannot write a new version's rows", at: file.path)
        }
    }

    /// Writes what waits, and tells the file's header how many pages there are.
    ///
    /// The count is believed only where the header's two change counters are equal, as they are in a
    /// file that SQLite has just made.
    func finish() throws(KappaError) {
        try flush()
        try write(withUnsafeBytes(of: pages.bigEndian) { Array($0) }, at: 28)
    }
}
