import CKappa
import KappaTesting
import Testing

@testable import KappaCore

@Suite("CRC32C")
struct ChecksumTests {
    @Test(
        "gives the checksums that RFC 3720 lists",
        arguments: [
            ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
            ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
            ([UInt8](0..<32), 0x46DD_794E),
            ([UInt8]((0..<32).reversed()), 0x113F_DB5C),
            (Array("123456789".utf8), 0xE306_9283),
            ([], 0),
        ] as [([UInt8], UInt32)])
    func vectors(bytes: [UInt8], expected: UInt32) {
        #expect(kappa_crc32c(0, bytes, bytes.count) == expected)
        #expect(kappa_crc32c_portable(0, bytes, bytes.count) == expected)
    }

    @Test("the instruction and the tables agree at any length, alignment and start")
    func portable() {
        var random = SplitMix(state: LogTesting.seed)
        let bytes = (0..<70_000).map { _ in UInt8.random(in: 0...255, using: &random) }
        bytes.withUnsafeBytes { all in
            // Around the lengths at which the fast path changes its method, and at random ones.
            let edges = [0, 1, 7, 8, 9, 4_095, 4_096, 12_287, 12_288, 12_289, 24_576, 36_871]
            for round in 0..<200 {
                let start = Int.random(in: 0..<64, using: &random)
                let length =
                    round < edges.count
                    ? edges[round] : Int.random(in: 0..<(all.count - start), using: &random)
                let from = UInt32.random(in: 0 ... .max, using: &random)
                let base = all.baseAddress.map { $0 + start }
                #expect(
                    kappa_crc32c(from, base, length) == kappa_crc32c_portable(from, base, length),
                    "seed \(LogTesting.seed), start \(start), length \(length)")
            }
        }
    }

    @Test("the checksums of two parts combine to that of the whole")
    func combine() {
        var random = SplitMix(state: LogTesting.seed)
        let bytes = (0..<40_000).map { _ in UInt8.random(in: 0...255, using: &random) }
        let whole = kappa_crc32c(0, bytes, bytes.count)
        for round in 0..<200 {
            let cut =
                [0, 1, bytes.count - 1, bytes.count].dropFirst(round).first
                ?? Int.random(in: 0...bytes.count, using: &random)
            let a = kappa_crc32c(0, bytes, cut)
            let b = Array(bytes[cut...]).withUnsafeBytes { crc32c($0) }
            #expect(
                kappa_crc32c_combine(a, b, UInt64(bytes.count - cut)) == whole,
                "seed \(LogTesting.seed), cut \(cut)")
        }
    }
}
