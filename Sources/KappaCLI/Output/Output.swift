import Glibc
import KappaCore

/// Standard output, in large pieces. Used by one thread.
///
/// All that the program prints goes through here, and here it is made harmless for terminals: what it
/// prints comes out of data. To a file or a pipe, records go byte for byte.
final class Output {
    static let isTerminal = isatty(1) == 1
    static let errorIsTerminal = isatty(2) == 1
    static let usesColour = isTerminal && getenv("NO_COLOR") == nil

    private var buffer: [UInt8] = []

    /// The reader of the pipe has gone: there is nobody left to write for.
    struct Closed: Error {}

    deinit { try? flush() }

    /// Throws ``Closed`` if the reader has gone: for commands that wait and have nothing to write.
    static func checkReader() throws {
        var wanted = pollfd(fd: 1, events: 0, revents: 0)
        if poll(&wanted, 1, 0) > 0, wanted.revents & Int16(POLLERR) != 0 { throw Closed() }
    }

    func write(_ text: String) throws {
        try add((Self.isTerminal ? SafeText.lines(text) : text).utf8)
    }

    /// Whole events: a character is never cut.
    func write(_ bytes: UnsafeRawBufferPointer) throws {
        if Self.isTerminal { try add(SafeText.lines(bytes).utf8) } else { try add(bytes) }
    }

    func write(_ text: StyledText) throws { try add(text.text.utf8) }

    /// Makes a terminal empty, for what is shown again and again.
    func clearScreen() throws {
        if Self.isTerminal { try add("\u{1B}[H\u{1B}[2J".utf8) }
    }

    private func add(_ bytes: some Sequence<UInt8>) throws {
        buffer.append(contentsOf: bytes)
        if buffer.count > 1 << 16 { try flush() }
    }

    func flush() throws {
        var done = 0
        while done < buffer.count {
            let count = buffer.withUnsafeBytes { bytes in
                Glibc.write(1, bytes.baseAddress.map { $0 + done }, bytes.count - done)
            }
            if count < 0 {
                if errno == EINTR { continue }
                buffer = []
                if errno == EPIPE { throw Closed() }
                throw IOFailure("write", errno).error("cannot write", at: "standard output")
            }
            done += count
        }
        buffer.removeAll(keepingCapacity: true)
    }

    /// A line, or several, to standard error. It is for people, and a file of it is looked at on a
    /// terminal some day: so it is made harmless wherever it goes.
    static func say(_ text: String) { writeError(SafeText.lines(text) + "\n") }

    /// Writes over the line that a terminal's cursor is in; an empty one takes it away.
    static func sayInPlace(_ line: String) {
        if errorIsTerminal { writeError("\r\u{1B}[K" + SafeText.line(line)) }
    }

    private static func writeError(_ text: String) {
        let bytes = Array(text.utf8)
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { bytes in
                Glibc.write(2, bytes.baseAddress.map { $0 + done }, bytes.count - done)
            }
            if count < 0, errno == EINTR { continue }
            // There is nobody to tell it to.
            if count <= 0 { return }
            done += count
        }
    }

    /// Has the first three descriptors open, whatever the program was started with: else the first file
    /// that it opens would be its standard output, and records would go into the log.
    static func holdStandardDescriptors() {
        while true {
            // In the wrong direction: to use it fails, as to use a closed one does.
            let descriptor = Glibc.open("/dev/null", O_RDONLY)
            if descriptor < 0 || descriptor > 2 {
                if descriptor > 2 { close(descriptor) }
                return
            }
        }
    }
}
