import Glibc
import KappaCore

/// Standard output, in large pieces. Used by one thread.
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
        buffer.append(contentsOf: text.utf8)
        if buffer.count > 1 << 16 { try flush() }
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        buffer.append(contentsOf: bytes)
        if buffer.count > 1 << 16 { try flush() }
    }

    func write(_ bytes: [UInt8]) throws {
        buffer += bytes
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

    /// A line to standard error.
    static func say(_ text: String) {
        let line = Array((text + "\n").utf8)
        _ = Glibc.write(2, line, line.count)
    }
}
