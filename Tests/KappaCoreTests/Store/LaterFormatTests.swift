import Foundation
import Testing

@testable import KappaCore

/// Files that a later kappa has written are refused as such, and left as they are.
@Suite("Files of later formats") struct LaterFormatTests {
    private let kappa: KappaProgram

    init() throws {
        kappa = try KappaProgram()
        try kappa.generate(50)
        #expect(try kappa.run("run", "--until-caught-up").code == 0)
    }

    private func contents(_ path: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    private func write(_ bytes: [UInt8], to path: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    private func refuses(_ commands: [[String]], because reason: String) throws {
        for words in commands {
            let finished = try kappa.start(words, input: "{\"a\":1}\n").wait()
            #expect(finished.code == 64, "\(words): \(finished)")
            #expect(finished.errors.contains(reason), "\(words): \(finished)")
            #expect(finished.errors.contains("A newer kappa"), "\(words): \(finished)")
        }
    }

    @Test("a log whose head has a later format is neither read nor appended to, nor cut")
    func log() throws {
        let path = LogHead.path(kappa.data.log)
        var head = try contents(path)
        head[3] = UInt8(ascii: "4")
        var checked = Array(head[0..<40])
        checked += head[44..<48]
        let sum = checked.withUnsafeBytes { crc32c($0) }
        head.replaceSubrange(40..<44, with: withUnsafeBytes(of: sum.littleEndian, Array.init))
        try write(head, to: path)
        // What a later kappa may have written after the end that this one would find.
        let segment = SegmentFiles.path(kappa.data.log, .zero)
        let bytes = try contents(segment) + Array("KPB9 later".utf8)
        try write(bytes, to: segment)
        try refuses(
            [
                ["append"], ["log", "info"], ["log", "read"], ["log", "verify"], ["log", "seal"],
                ["run", "--until-caught-up"], ["plan"],
                ["why", "user_totals", "--key", "\"user_1\""],
            ], because: "it has format 4, and this kappa reads formats 1 to 3")
        #expect(try contents(path) == head)
        #expect(try contents(segment) == bytes)
    }

    /// A file of a magic, the checksum of the rest, and the rest.
    private func checked(_ magic: String, _ rest: [UInt8]) -> [UInt8] {
        let sum = rest.withUnsafeBytes { crc32c($0) }
        return Array(magic.utf8) + withUnsafeBytes(of: sum.littleEndian, Array.init) + rest
    }

    @Test("so are a list of what was trimmed, a list of what is to be erased, and spilled rows")
    func others() throws {
        let trimmed = LogBeginning.path(kappa.data.log)
        try write(checked("KPT2", [1, 2, 3]), to: trimmed)
        try refuses(
            [["append"], ["log", "info"], ["log", "read"], ["run", "--until-caught-up"]],
            because: "where it begins has a later format")
        unlink(trimmed)
        let erasing = kappa.data.log + "/erasing"
        try write(checked("KPE2", [UInt8](repeating: 0, count: 16)), to: erasing)
        let error = #expect(throws: KappaError.self) { try LogEraser(kappa.data.log).resume() }
        #expect(error?.code == .usage)
        #expect(error?.advice?.contains("A newer kappa") == true)
        unlink(erasing)
        let path = kappa.folder.path + "/records.db"
        _ = try SpillRecords(path)
        try SQLiteConnection(path, .create).execute("PRAGMA user_version = 3")
        let spilled = #expect(throws: KappaError.self) { try SpillRecords(path) }
        #expect(spilled?.code == .usage && spilled?.reason?.contains("format 3") == true)
    }

    @Test("a version's file of a later format is not read")
    func version() throws {
        let path = kappa.data.file(VersionID("user_totals", VersionNumber(1)))
        try SQLiteConnection(path, .create).execute("UPDATE _kappa_version SET format = 99")
        let finished = try kappa.run("query", "user_totals")
        #expect(finished.code != 0 && finished.errors.contains("format 99"), "\(finished)")
    }

    @Test("a damaged head is no later format: it is made again from the segments")
    func damaged() throws {
        let path = LogHead.path(kappa.data.log)
        let head = try contents(path)
        for bit in 0..<(8 * 4) {
            var flipped = head
            flipped[bit / 8] ^= 1 << (bit % 8)
            try write(flipped, to: path)
            _ = try LogWriter(kappa.data.log)
            #expect(try contents(path) == head, "bit \(bit)")
        }
    }

    @Test("a catalog of a later format is neither read nor written to")
    func catalog() throws {
        let path = kappa.data.path + "/catalog.db"
        let database = try SQLiteConnection(path, .create)
        #expect(try database.integer("PRAGMA user_version") == 1)
        try database.execute("PRAGMA user_version = 2")
        try refuses(
            [
                ["run", "--until-caught-up"], ["status"], ["query", "user_totals"], ["plan"],
                ["gc"],
                ["rebuild", "user_totals"], ["history"], ["promote", "user_totals"],
            ], because: "it has format 2, and this kappa reads format 1")
        // The log does not depend on it.
        #expect(try kappa.start(["append"], input: "{\"a\":1}\n").wait().code == 0)
    }
}
