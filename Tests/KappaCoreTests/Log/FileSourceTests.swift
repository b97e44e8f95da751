import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// A file that grows is read once, however it is rotated, and whenever the pull ends.
@Suite("Pulling a file that grows") struct FileSourceTests {
    private let folder = LogFolder()
    private var log: String { folder.file("log") }
    private var path: String { folder.file("app.log") }

    private func append(_ text: String, to name: String = "app.log") throws {
        let file = open(folder.file(name), O_WRONLY | O_CREAT | O_APPEND, 0o644)
        defer { close(file) }
        #expect(write(file, text, text.utf8.count) == text.utf8.count)
    }

    private func append(_ numbers: Range<Int>, to name: String = "app.log") throws {
        try append(Self.text(numbers), to: name)
    }

    private func bytes(_ name: String) throws -> [UInt8] {
        let file = try OpenFile(reading: folder.file(name))
        var bytes = [UInt8](repeating: 0, count: file.size)
        _ = try bytes.withUnsafeMutableBytes { try file.read($0, at: 0) }
        return bytes
    }

    private static func text(_ numbers: Range<Int>) -> String {
        LogTesting.numbered(numbers).map { $0 + "\n" }.joined()
    }

    private func move(_ old: String, _ new: String) {
        #expect(rename(folder.file(old), folder.file(new)) == 0)
    }

    /// As logrotate does with `copytruncate`.
    private func copyAndTruncate(to copy: String = "app.log.1") throws {
        try folder.write(bytes("app.log"), to: copy)
        #expect(truncate(path, 0) == 0)
    }

    private func pull(batch: Int = .max) throws -> [String] {
        var notices: [String] = []
        var pull = try SourcePull(
            FileSource(path, name: "app"), into: LogWriter(log), following: false,
            batchEvents: batch)
        notices += pull.notices
        try pull.run { _ in
            true
        } observer: {
            notices.append($0)
        }
        #expect(try pull.results().first?.lag == 0)
        pull.close()
        return notices
    }

    /// Follows the file; each step is taken once the log has as many events.
    private func follow(_ steps: [(events: Int, step: () throws -> Void)]) throws -> [String] {
        var notices: [String] = []
        var failure: (any Error)?
        var left = steps[...]
        var pull = try SourcePull(
            FileSource(path, name: "app"), into: LogWriter(log), following: true)
        let start = SystemClock.monotonicSeconds()
        let ended = try pull.run { _ in
            do {
                let count = try LogTesting.texts(log).count
                while let next = left.first, next.events <= count {
                    left.removeFirst()
                    try next.step()
                }
            } catch { failure = error }
            return !left.isEmpty && failure == nil && SystemClock.monotonicSeconds() - start < 30
        } observer: {
            notices.append($0)
        }
        pull.close()
        if let failure { throw failure }
        #expect(!ended && left.isEmpty, "\(left.count) steps are left")
        return notices
    }

    private func expectLog(_ numbers: Range<Int>) throws {
        #expect(try LogTesting.texts(log) == LogTesting.numbered(numbers))
    }

    private func refusal() throws -> KappaError? {
        let before = try LogTesting.texts(log)
        var refusal: KappaError?
        do { _ = try pull() } catch { refusal = error as? KappaError }
        #expect(try LogTesting.texts(log) == before)
        return refusal
    }

    // MARK: Between two pulls

    @Test("what was added since is pulled, however the file was rotated meanwhile")
    func rotated() throws {
        try append(0..<5)
        _ = try pull()
        try append(5..<7)
        move("app.log", "app.log.1")
        try append(7..<9)
        _ = try pull(batch: 2)
        try expectLog(0..<9)
        #expect(try LogWriter(log).sourcePoint(of: "app").position == 1_000_000_000_002)
        _ = try pull()
        // Several rotations, one of an empty file.
        try append(9..<10)
        move("app.log.1", "app.log.4")
        move("app.log", "app.log.3")
        try append("", to: "app.log.2")
        try append(10..<12, to: "app.log.1")
        try append(12..<14)
        _ = try pull()
        try expectLog(0..<14)
        try copyAndTruncate(to: "app.log-20260131")
        for number in 1...4 { unlink(folder.file("app.log.\(number)")) }
        try append(14..<15)
        _ = try pull()
        try expectLog(0..<15)
        // Compressed files are left out, and so are others with a similar name.
        try append("no event\n", to: "app.log.2.gz")
        try append("no event\n", to: "app.log.old")
        try append("no event\n", to: "app.logs")
        _ = try pull()
        try expectLog(0..<15)
    }

    @Test("the first pull begins with the file, not with older ones")
    func first() throws {
        try append(100..<105, to: "app.log.1")
        try append(0..<5)
        _ = try pull()
        try expectLog(0..<5)
    }

    @Test("files that begin alike are told apart by the file before them")
    func alike() throws {
        let header = #"{"by":"a","n":0}"# + "\n"
        try append(header + Self.text(1..<4))
        _ = try pull()
        move("app.log", "app.log.1")
        try append(header)
        _ = try pull()
        try append(4..<5)
        _ = try pull()
        #expect(
            try LogTesting.texts(log)
                == LogTesting.numbered(0..<4) + LogTesting.numbered(0..<1)
                + LogTesting.numbered(4..<5))
    }

    @Test("a copy of the file beside it is not read; nobody can say which is the file")
    func copied() throws {
        try append(0..<5)
        _ = try pull()
        try folder.write(bytes("app.log"), to: "app.log.1")
        let error = try refusal()
        #expect(error?.code == .badInput && error?.what.contains("not certain") == true)
        unlink(folder.file("app.log.1"))
        _ = try pull()
        try expectLog(0..<5)
    }

    @Test("what was appended with the same name is continued, and the other way round")
    func appended() throws {
        try append(0..<5, to: "app.log.2")
        try append(5..<7, to: "app.log.1")
        var source = try SourceImport(LogWriter(log), source: "app")
        for name in ["app.log.2", "app.log.1"] {
            let file = try OpenFile(reading: folder.file(name))
            try source.run(file.descriptor, name: name)
        }
        try source.finish()
        try append(7..<9)
        _ = try pull()
        try expectLog(0..<9)
    }

    @Test("an import of an earlier kappa is continued, and that its events are read is said")
    func firstFormat() throws {
        try append(0..<5)
        _ = try pull()
        try FirstFormat.rewrite(LogFolder(at: log))
        move("app.log", "app.log.1")
        try append(5..<7)
        #expect(try pull().contains { $0.contains("without a digest") })
        #expect(try pull() == [])
        try expectLog(0..<7)
    }

    @Test("a byte order mark, CRLF and blank lines are not events, also where a pull resumes")
    func windows() throws {
        let lines = LogTesting.numbered(0..<4)
        try append("\u{FEFF}\(lines[0])\r\n\r\n\(lines[1])\r\n  \n")
        _ = try pull()
        _ = try pull()
        try append("\r\n\(lines[2])\r\n")
        _ = try pull()
        move("app.log", "app.log.1")
        try append("\u{FEFF}\n\(lines[3])")
        _ = try pull()
        try append("\r\n")
        _ = try pull()
        try expectLog(0..<4)
    }

    // MARK: The last line

    @Test("a last line without its newline is an event only if it is a whole one")
    func unfinished() throws {
        try append(#"{"by":"a","n":0}"#)
        #expect(try pull() == [])
        try expectLog(0..<1)
        try append("\n" + #"{"by":"#)
        #expect(try pull().first?.contains("left for the next pull") == true)
        try append(#""a","n":1}"#)
        _ = try pull()
        try append("\n")
        _ = try pull()
        move("app.log", "app.log.1")
        try append(2..<3)
        _ = try pull()
        try expectLog(0..<3)
    }

    @Test("a line that is not an event ends the pull after the events before it")
    func badLine() throws {
        try append(Self.text(0..<3) + "oops\n" + Self.text(3..<5))
        for _ in 0..<2 {
            #expect { _ = try pull() } throws: {
                ($0 as? KappaError)?.place == "\(path), line 4, column 1"
            }
            try expectLog(0..<3)
        }
        unlink(path)
        try append(0..<5)
        _ = try pull()
        try expectLog(0..<5)
    }

    // MARK: Refusals

    @Test("a file that was edited, cut short or replaced is refused")
    func refused() throws {
        try append(0..<5)
        _ = try pull()
        for text in [Self.text(0..<3) + Self.text(4..<5), Self.text(0..<4), Self.text(5..<9), ""] {
            try folder.write(Array(text.utf8), to: "app.log")
            #expect(try refusal()?.code == .badInput)
        }
        try folder.write(Array((Self.text(0..<3) + "{}\n{}\n").utf8), to: "app.log")
        #expect(try refusal()?.place == "\(path), line 4")
        // The file in which the place is has been removed.
        try folder.write(Array(Self.text(0..<6).utf8), to: "app.log.1")
        try folder.write(Array(Self.text(6..<7).utf8), to: "app.log")
        unlink(folder.file("app.log.1"))
        #expect(try refusal()?.code == .badInput)
        unlink(path)
        #expect(try refusal()?.code == .notFound)
    }

    // MARK: While it is followed

    @Test("a file is followed through renames, also where its name is free for a while")
    func followed() throws {
        let notices = try follow([
            (0, { try append(0..<2) }), (2, { try append(2..<3) }),
            (3, { move("app.log", "app.log.1") }),
            (3, { try append(3..<4, to: "app.log.1") }),
            (4, { try append("", to: "app.log") }),
            (4, { try append(4..<5, to: "app.log.1") }),
            (5, { try append(5..<6) }),
            (
                6,
                {
                    move("app.log.1", "app.log.2")
                    move("app.log", "app.log.1")
                    try append(6..<7)
                    move("app.log.2", "app.log.3")
                    move("app.log.1", "app.log.2")
                    move("app.log", "app.log.1")
                    try append(7..<8)
                }
            ), (8, {}),
        ])
        try expectLog(0..<8)
        #expect(notices.count == 1 && notices[0].contains("waiting for"))
        _ = try pull()
        try expectLog(0..<8)
    }

    @Test("a file that is copied and cut short is read on in the copy, and then from its beginning")
    func truncated() throws {
        try append(0..<3)
        let notices = try follow([
            (
                3,
                {
                    try append(3..<5)
                    try copyAndTruncate()
                    try append(5..<6)
                }
            ),
            // It has grown past what it was.
            (
                6,
                {
                    move("app.log.1", "app.log.2")
                    try copyAndTruncate()
                    try append(6..<40)
                }
            ), (40, {}),
        ])
        try expectLog(0..<40)
        #expect(notices == [])
        _ = try pull()
        try expectLog(0..<40)
    }

    @Test("where there is no copy, that is said, and the file is read from its beginning")
    func truncatedAlone() throws {
        try append(0..<3)
        let notices = try follow([
            (
                3,
                {
                    #expect(truncate(path, 0) == 0)
                    try append(3..<5)
                }
            ), (5, {}),
        ])
        try expectLog(0..<5)
        #expect(notices.first?.contains("was cut short") == true)
        _ = try pull()
        try expectLog(0..<5)
    }

    @Test("a line is taken when it has its newline, and not before")
    func halves() throws {
        _ = try follow([
            (0, { try append(Self.text(0..<1) + #"{"by":"#) }),
            (1, { try append(#""a","n":1}"#) }), (1, { try append("\n") }), (2, {}),
        ])
        try expectLog(0..<2)
    }

    @Test("one process pulls a source at a time")
    func locked() throws {
        try append(0..<2)
        let writer = try LogWriter(log)
        let first = try SourcePull(FileSource(path, name: "app"), into: writer, following: true)
        #expect { _ = try pull() } throws: { error in
            let error = error as? KappaError
            return error?.code == .heldElsewhere && error?.reason?.contains("\(getpid())") == true
        }
        first.close()
    }
}
