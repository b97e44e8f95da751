import CKappa
import CSQLite
import Glibc

/// SQLite's own VFS, with a limit on the size of each temporary file, for sorting and for intermediate
/// results: otherwise a query could fill a disk within its minute.
enum SQLTemporaryFiles {
    /// The name of the VFS that a connection is opened with; nil, which means SQLite's own, where there is
    /// none to build on.
    static let name: String? = register()

    /// Whether this thread has hit the limit since the last call.
    static func wasTooLarge() -> Bool {
        defer { kappa_set_overflow(0) }
        return kappa_overflow() != 0
    }

    /// Follows each file's own memory.
    private struct Bounded {
        var methods: sqlite3_io_methods
        var original: UnsafePointer<sqlite3_io_methods>
    }

    private static let registeredName = "kappa-bounded"

    /// The system's VFS, which does the work.
    private static func system() -> UnsafeMutablePointer<sqlite3_vfs>? { sqlite3_vfs_find("unix") }

    private static func register() -> String? {
        guard let system = system(), let name = strdup(registeredName) else { return nil }
        // Both live as long as the process, as SQLite requires.
        let vfs = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
        vfs.initialize(to: system.pointee)
        vfs.pointee.zName = UnsafePointer(name)
        vfs.pointee.pNext = nil
        vfs.pointee.szOsFile = Int32(offset(system) + MemoryLayout<Bounded>.stride)
        vfs.pointee.xOpen = { _, path, file, flags, outFlags in
            guard let system = SQLTemporaryFiles.system(), let file else { return SQLITE_ERROR }
            let code = system.pointee.xOpen(system, path, file, flags, outFlags)
            if code == SQLITE_OK, flags & SQLITE_OPEN_DELETEONCLOSE != 0 {
                SQLTemporaryFiles.bound(file, system)
            }
            return code
        }
        return sqlite3_vfs_register(vfs, 0) == SQLITE_OK ? registeredName : nil
    }

    /// Where ``Bounded`` is in a file's memory.
    private static func offset(_ system: UnsafeMutablePointer<sqlite3_vfs>) -> Int {
        let alignment = MemoryLayout<Bounded>.alignment
        return (Int(system.pointee.szOsFile) + alignment - 1) / alignment * alignment
    }

    private static func bounded(
        _ file: UnsafeMutablePointer<sqlite3_file>, _ system: UnsafeMutablePointer<sqlite3_vfs>
    ) -> UnsafeMutablePointer<Bounded> {
        (UnsafeMutableRawPointer(file) + offset(system)).assumingMemoryBound(to: Bounded.self)
    }

    private static func bound(
        _ file: UnsafeMutablePointer<sqlite3_file>, _ system: UnsafeMutablePointer<sqlite3_vfs>
    ) {
        guard let original = file.pointee.pMethods else { return }
        let bounded = bounded(file, system)
        bounded.initialize(to: Bounded(methods: original.pointee, original: original))
        bounded.pointee.methods.xWrite = { file, bytes, count, position in
            guard let file, let system = SQLTemporaryFiles.system() else {
                return SQLITE_IOERR
            }
            if position + Int64(count) > SQLLimits.temporaryBytes {
                kappa_set_overflow(1)
                return SQLITE_FULL
            }
            let original = SQLTemporaryFiles.bounded(file, system).pointee.original
            return original.pointee.xWrite(file, bytes, count, position)
        }
        file.pointee.pMethods = withUnsafeMutablePointer(to: &bounded.pointee.methods) {
            UnsafePointer($0)
        }
    }
}
