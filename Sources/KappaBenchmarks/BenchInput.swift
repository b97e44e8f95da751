import Glibc
import KappaCLI
import KappaCore

/// A log, and the same events as NDJSON for other programs. Made once, from a seed.
struct BenchInput {
    /// The inputs differ in how many users they have, in whether the log is sealed, and in whether their
    /// events are nested orders.
    enum Kind: String, CaseIterable {
        case few, many, sealed, huge, orders

        var users: Int {
            switch self {
            case .few, .sealed: 100
            case .many: 1_000_000
            case .huge: 20_000_000
            case .orders: 10_000
            }
        }

        /// How many events it has if the usual inputs have `usual`: about as many bytes, except for the
        /// huge one.
        func events(usual: Int) -> Int {
            switch self {
            case .few, .many, .sealed: usual
            case .huge: usual * 8
            case .orders: max(1, usual / 4)
            }
        }
    }

    let folder: DataFolder
    let ndjson: String
    let events: Int

    /// Opens the input in a folder, or makes it if it is missing or incomplete.
    init(_ kind: Kind, events: Int, in parent: String) throws {
        self.events = events
        let name = "\(parent)/\(kind.rawValue)-\(events)"
        folder = DataFolder(name)
        ndjson = name + ".ndjson"
        let isWhole = access(folder.log, F_OK) == 0 && access(ndjson, F_OK) == 0
        if isWhole, try LogReader(folder.log).durableEnd() == Offset(UInt64(events)) { return }
        BenchProgram.say("making \(name)")
        try Folder.make(parent)
        Folder.remove(name)
        try make(kind)
    }

    private func make(_ kind: Kind) throws {
        let file = open(ndjson, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        guard file >= 0 else {
            throw KappaError(.cannotCreate, "cannot make a benchmark's input", at: ndjson)
        }
        defer { close(file) }
        let writer = try LogWriter(folder.log)
        var users = UserEventGenerator(seed: 1, users: kind.users)
        var orders = OrderGenerator(seed: 1, customers: kind.users)
        var left = events
        while left > 0 {
            let count = min(left, 50_000)
            var lines: [UInt8] = []
            if kind == .orders {
                orders.append(count, to: &lines)
            } else {
                users.append(count, to: &lines)
            }
            try lines.withUnsafeBytes { bytes in
                try SystemFiles().write(
                    file, bytes, at: Int(lseek(file, off_t(0), SEEK_CUR)))
                lseek(file, off_t(bytes.count), SEEK_CUR)
                _ = try writer.append(try EventLines(bytes))
            }
            left -= count
        }
        if kind == .sealed { _ = try LogSealer(folder.log, zstd: true).seal() }
    }

    /// A folder for one measurement, with this input's log in it.
    func scratch() throws -> DataFolder {
        let scratch = DataFolder(folder.path + "-run-\(getpid())")
        Folder.remove(scratch.path)
        try Folder.make(scratch.path)
        // Both folders have the same parent, and the link is inside of one of them.
        let target = "../" + (folder.path.split(separator: "/").last ?? "") + "/log"
        guard symlink(target, scratch.log) == 0 else {
            throw KappaError(
                .cannotCreate, "cannot link to a benchmark's log", at: scratch.log,
                because: String(cString: strerror(errno)))
        }
        return scratch
    }
}
