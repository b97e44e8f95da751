import Glibc
import Testing

@testable import KappaCore

/// Files of the log that are removed, moved or replaced beside a writer that has them open. Another writer
/// then works with other files; the first must not acknowledge what only its own files hold.
@Suite("A log whose files are replaced") struct ReplacedLogTests {
    private let folder = LogFolder()

    private func append(_ writer: LogWriter, _ text: String) throws {
        _ = try writer.append(LogTesting.lines([text]))
    }

    private func move(_ from: String, _ to: String) {
        #expect(rename(folder.path + "/" + from, folder.path + "/" + to) == 0)
    }

    @Test(
        "appending refuses, and every acknowledged event can be read",
        arguments: [
            "head moved", "head linked and removed", "head removed", "lock removed", "lock moved",
            "lock replaced", "segment copied over", "segment linked and copied over",
            "folder copied and swapped",
        ])
    func refused(kind: String) throws {
        let writer = try LogWriter(folder.path)
        try append(writer, #"{"a":1}"#)
        let path = folder.path
        switch kind {
        case "head moved": move("head", "head.bak")
        case "head linked and removed":
            #expect(link(path + "/head", path + "/x") == 0 && unlink(path + "/head") == 0)
        case "head removed": #expect(unlink(path + "/head") == 0)
        case "lock removed": #expect(unlink(path + "/lock") == 0)
        case "lock moved": move("lock", "lock.old")
        case "lock replaced":
            try folder.write([], to: "new")
            move("new", "lock")
        case "segment copied over", "segment linked and copied over":
            let segment = "00000000000000000000.log"
            if kind.contains("linked") { #expect(link(path + "/" + segment, path + "/x") == 0) }
            try folder.write(folder.bytes(segment), to: "new")
            move("new", segment)
        default:
            let copy = try folder.copy()
            #expect(rename(path, path + ".old") == 0 && rename(copy.path, path) == 0)
        }
        let other = try LogWriter(path)
        try append(other, #"{"b":1}"#)
        try append(other, #"{"b":2}"#)
        for _ in 0..<2 {
            let error = #expect(throws: KappaError.self) { try append(writer, #"{"a":2222}"#) }
            #expect(
                error?.code == .damaged && error?.advice?.contains("Nothing was appended") == true)
        }
        try append(other, #"{"b":3}"#)
        #expect(
            try LogTesting.texts(path)
                == [#"{"a":1}"#, #"{"b":1}"#, #"{"b":2}"#, #"{"b":3}"#], "\(kind)")
        _ = rename(path + ".old", path + "/old")
    }
}
