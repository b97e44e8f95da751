import Glibc
import KappaCore
import Synchronization

/// Buffered standard output. Used by one thread.
///
/// All that the program prints goes through here. It prints data, so text for a terminal is made harmless
/// first. To a file or a pipe, records go byte for byte.
final class Output {
    static let isTerminal = isatty(1) == 1
    static let errorIsTerminal = isatty(2) == 1
    static let usesColour = isTerminal && getenv("NO_COLOR") == nil

    private var buffer: [UInt8] = []

    /// The reader of the pipe is gone, so there is no point in writing more.
    struct Closed: Error {}

    deinit { try? flush() }

    /// Throws ``Closed`` if the reader is gone. For commands that wait and have nothing to write.
    static func checkReader() throws {
        var wanted = pollfd(fd: 1, events: 0, revents: 0)
        if poll(&wanted, 1, 0) > 0, wanted.revents & Int16(POLLERR) != 0 { throw Closed() }
    }

    func write(_ text: String) throws {
        try add((Self.isTerminal ? SafeText.lines(text) : text).utf8)
    }

    /// Writes whole events, so that no character is cut.
    func write(_ bytes: UnsafeRawBufferPointer) throws {
        if Self.isTerminal { try add(SafeText.lines(bytes).utf8) } else { try add(bytes) }
    }

    func write(_ text: StyledText) throws { try add(text.text.utf8) }

    /// Clears a terminal, for output that is repeated.
    func clearScreen() throws {
        if Self.isTerminal { try add("\u{1B}[H\u{1B}[2J".utf8) }
    }

    private func add(_ bytes: some Sequence<UInt8>) throws {
        buffer.append(contentsOf: bytes)
        if buffer.count > 1 << 16 { try flush() }
    }

    func flush() throws {
        if !buffer.isEmpty { Restart.willPrint() }
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

    /// Writes one or more lines to standard error. They are for people, who may also view a file of them on a
    /// terminal, so the text is always made harmless.
    static func say(_ text: String) { writeError(SafeText.lines(text) + "\n") }

    /// Overwrites the line of the terminal's cursor; an empty text clears it.
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
            // There is nowhere to report this.
            if count <= 0 { return }
            done += count
        }
    }

    private static let standardInput = Atomic(true)

    /// Whether the program was started with an open standard input.
    static var hadStandardInput: Bool { standardInput.load(ordering: .relaxed) }

    /// Makes sure that the first three descriptors are open, whatever the program was started with. Otherwise
    /// the first file that it opens could become its standard output, and records would go into the log.
    static func holdStandardDescriptors() {
        let hadInput = fcntl(0, F_GETFD) >= 0
        standardInput.store(hadInput, ordering: .relaxed)
        while true {
            // Opened for reading only, so that writing fails as it does on a closed descriptor.
            let descriptor = Glibc.open("/dev/null", O_RDONLY)
            if descriptor < 0 || descriptor > 2 {
                if descriptor > 2 { close(descriptor) }
                return
            }
        }
    }
}
