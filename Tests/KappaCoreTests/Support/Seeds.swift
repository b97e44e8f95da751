import Glibc
import KappaTesting

/// Seeds of random tests. A failure names its seed, and `KAPPA_SEED=…` runs that one alone.
///
/// Seeds are new on each run. With `KAPPA_SEEDS_OF=TEXT` they are derived from the text and the calling line:
/// `.ci/run` passes the commit, so that a commit passes or fails the same way everywhere, and each commit
/// tries other seeds.
enum Seeds {
    static func random(_ count: Int, file: String = #fileID, line: Int = #line) -> [UInt64] {
        if let seed = environment("KAPPA_SEED").flatMap({ UInt64($0) }) { return [seed] }
        guard let text = environment("KAPPA_SEEDS_OF") else {
            return (0..<count).map { _ in .random(in: 0..<limit) }
        }
        var state: UInt64 = 0
        for byte in "\(text) \(file) \(line)".utf8 { state = state &* 31 &+ UInt64(byte) }
        var random = SplitMix(state: state)
        return (0..<count).map { _ in .random(in: 0..<limit, using: &random) }
    }

    static func one(file: String = #fileID, line: Int = #line) -> UInt64 {
        random(1, file: file, line: line)[0]
    }

    static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    /// Few digits, so that a seed is easy to type.
    private static let limit: UInt64 = 1_000_000_000
}
