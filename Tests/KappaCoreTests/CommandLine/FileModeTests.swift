import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// Who may read and write kappa's files: all files and folders have the same modes, even if the user's mask
/// would let everybody write.
@Suite("Modes of files")
struct FileModeTests {
    private static let image = "truncate -s 400m xfs && mkfs.xfs -q xfs && mount -o loop xfs k"
    private static let canMountXFS =
        geteuid() == 0
        && KappaProgram.succeeds(
            "PATH=$PATH:/usr/sbin:/sbin; unshare -m sh -c 'mkdir k && \(image)'")

    /// If the file system shares blocks, snapshots are made in another way.
    @Test("are the same after a rebuild, a run with snapshots and a promotion")
    func dataFolder() throws { try check("true") }

    @Test(
        "are the same if the file system shares blocks between files",
        .enabled(if: canMountXFS, "needs root, mounts and mkfs.xfs"))
    func sharedBlocks() throws { try check(Self.image) }

    private func check(_ mount: String) throws {
        let kappa = try KappaProgram()
        let script = """
            set -e
            PATH=$PATH:/usr/sbin:/sbin
            mkdir k
            \(mount)
            umask 0
            export KAPPA_DATA=$PWD/k/data
            kappa generate user-events --count 300 --users 5 | kappa append > /dev/null
            kappa rebuild --all --keep-snapshots every=100 > /dev/null 2>&1
            kappa rebuild user_totals --no-promote > /dev/null 2>&1
            kappa generate user-events --count 300 --users 5 | kappa append > /dev/null
            kappa run --until-caught-up --keep-snapshots every=100 > /dev/null 2>&1
            kappa promote user_totals@2 > /dev/null 2>&1
            find k/data -printf '%y %m %P\\n'
            """
        try CommandSweep.write(script, to: kappa.folder.path + "/modes.sh")
        let tool = mount == "true" ? "" : "unshare -m"
        let found = try kappa.shell("\(tool) sh modes.sh")
        #expect(found.code == 0, "\(found)")
        #expect(found.output.contains("user_totals/snapshots/1@"), "\(found)")
        // A link's own mode has no effect.
        let odd = found.lines.filter { line in
            !["f 644 ", "d 755 ", "l "].contains { line.hasPrefix($0) }
        }
        #expect(odd.isEmpty, "\(odd)")
    }

    @Test(
        "a copy made by sharing blocks has the same mode as all files",
        .enabled(
            if: hasMaskOfItsOwn {},
            "needs a thread with a mask of its own, which containers may forbid"))
    func clone() throws {
        let folder = try TemporaryFolder()
        let (source, target) = (folder.path + "/source", folder.path + "/target")
        try CommandSweep.write("some bytes", to: source)
        #expect(
            Self.hasMaskOfItsOwn {
                umask(0)
                _ = try? FileCopy.clone(source, to: target)
            })
        var status = stat()
        #expect(stat(target, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o644, "\(String(status.st_mode, radix: 8))")
    }

    /// Works in a thread that has its own mask: the mask belongs to the process, except for a thread that
    /// asks for its own by unshare(CLONE_FS), which Swift's Glibc lacks. False if that is forbidden.
    private static func hasMaskOfItsOwn(_ work: @escaping @Sendable () -> Void) -> Bool {
        typealias Unshare = @convention(c) (Int32) -> Int32
        guard let symbol = dlsym(nil, "unshare") else { return false }
        let unshare = unsafeBitCast(symbol, to: Unshare.self)
        let isApart = Monitor(false)
        let thread = try? WorkerThread("modes") {
            guard unshare(0x200) == 0 else { return }
            isApart.withLock { $0 = true }
            work()
        }
        thread?.join()
        return isApart.withLock { $0 }
    }
}
