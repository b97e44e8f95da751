import Glibc
import KappaCore

/// `kappa-bench nexmark-generate`: writes generated events of Nexmark.
struct NexmarkGenerate {
    static let help = """
        kappa-bench nexmark-generate --events N [OPTIONS] > FILE.ndjson

        Writes generated events of Nexmark to standard output, about 300 bytes each: of every 50 events,
        one is a person, three are auctions and 46 are bids. The same options give the same bytes.

          --events N           how many events
          --seed S             the seed: another one, other events (1)
          --rate R             events in a second of event time (10000)
          --disorder SECONDS   how far event times may be out of order (0)
        """

    private let events: Int
    private var generator: NexmarkGenerator

    init(_ words: ArraySlice<String>) throws(KappaError) {
        let arguments = try BenchArguments(
            words, ["--events", "--seed", "--rate", "--disorder"], help: Self.help)
        guard let events = try arguments.number("--events", in: 0...1_000_000_000_000) else {
            throw arguments.usage("--events is needed")
        }
        self.events = events
        let rate = try arguments.number("--rate") ?? 10_000
        guard events / rate < Self.mostSeconds else {
            throw arguments.usage("the times of so many events would pass the year 9999")
        }
        let seconds = try arguments.seconds("--disorder") ?? 0
        generator = NexmarkGenerator(
            seed: UInt64(try arguments.number("--seed", in: 0...Int.max) ?? 1), rate: rate,
            disorderMillis: Int((seconds * 1_000).rounded()))
    }

    /// The most seconds after the first event's time, with room for auctions to expire.
    private static let mostSeconds = 250_000_000_000

    func run() throws {
        var generator = generator
        var left = events
        var bytes: [UInt8] = []
        while left > 0 {
            let piece = min(left, 4_096)
            bytes.removeAll(keepingCapacity: true)
            generator.append(piece, to: &bytes)
            guard try Self.write(bytes) else { return }
            left -= piece
        }
    }

    /// Writes to standard output; false if its reader is gone.
    private static func write(_ bytes: [UInt8]) throws(KappaError) -> Bool {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { bytes in
                Glibc.write(1, bytes.baseAddress.map { $0 + done }, bytes.count - done)
            }
            if count >= 0 {
                done += count
            } else if errno == EPIPE {
                return false
            } else if errno != EINTR {
                throw KappaError(
                    .inputOutput, "cannot write events", at: "standard output",
                    because: String(cString: strerror(errno)),
                    advice: "Check that the disk has room")
            }
        }
        return true
    }
}
