import Glibc
import Testing

@testable import KappaCore

@Suite("Block headers, runs, and the log's head")
struct BlockHeaderTests {
    private let runs = [
        IngestionRun(events: 3, ingestedAtMicros: -1),
        IngestionRun(
            events: 4, ingestedAtMicros: .max,
            source: SourceMark(
                name: "orders-file é", point: SourcePoint(.max, eventsPast: .max))),
        IngestionRun(
            events: 1, ingestedAtMicros: 1_700_000_000_000_000,
            source: SourceMark(
                name: String(repeating: "x", count: 200),
                point: SourcePoint(17, digest: LogDigest(bytes: 1 << 40, crc: 0xABCD)))),
        IngestionRun(
            events: 2, ingestedAtMicros: 0,
            source: SourceMark(name: "orders/3", point: SourcePoint(2)),
            erased: [.init(index: 1, bytes: 9, crc: 8)], partition: "orders/3"),
        IngestionRun(
            events: 1, ingestedAtMicros: 5, partition: "é",
            tick: .init(timeMicros: -7, movesAll: false)),
        IngestionRun(
            events: 1, ingestedAtMicros: 6, tick: .init(timeMicros: .min, movesAll: true)),
    ]

    private func encoded() -> (header: BlockHeader, bytes: [UInt8]) {
        var runBytes: [UInt8] = []
        for run in runs { run.encode(into: &runBytes) }
        var header = BlockHeader(
            firstOffset: Offset(1 << 40), events: runs.reduce(0) { $0 + $1.events },
            runsSize: runBytes.count, payloadSize: 3,
            payloadCRC: 0x1234_5678, digestBefore: LogDigest(bytes: 1 << 50, crc: 0xDEAD_BEEF))
        header.codec = .zstd
        header.beginsCommit = true
        header.appendedSize = 1 << 20
        header.appendedCRC = 0x8765_4321
        return (header, header.encoded(runs: runBytes))
    }

    @Test("what was written is read back")
    func roundTrip() {
        let (header, bytes) = encoded()
        bytes.withUnsafeBytes { bytes in
            #expect(BlockHeader(bytes) == header)
            #expect(BlockHeader.isSound(bytes))
            #expect(
                IngestionRun.decode(
                    UnsafeRawBufferPointer(rebasing: bytes[header.size...]), header.format) == runs)
        }
    }

    @Test("every changed byte of a header or its runs is detected")
    func corruption() {
        let (_, bytes) = encoded()
        for index in bytes.indices {
            for flip in [UInt8(0x01), 0x80, 0xFF] {
                var changed = bytes
                changed[index] ^= flip
                let isSeen = changed.withUnsafeBytes {
                    BlockHeader($0) == nil || !BlockHeader.isSound($0)
                }
                #expect(isSeen, "byte \(index), flip \(flip)")
            }
        }
    }

    @Test("bytes that are not runs are not read as runs")
    func badRuns() {
        let (header, bytes) = encoded()
        let runBytes = Array(bytes[header.size...])
        // Where a run ends, fewer runs are read.
        let sizes = [
            13, 13 + 1 + 14 + 12, 13 + 1 + 200 + 12 + 12, 13 + 1 + 8 + 12 + 16 + 1, 13 + 3 + 8,
            13 + 8,
        ]
        let ends = (0..<sizes.count).map { sizes[..<$0].reduce(0, +) }
        for length in runBytes.indices {
            let runs = runBytes[..<length].withUnsafeBytes { IngestionRun.decode($0, .second) }
            #expect(runs?.count == ends.firstIndex(of: length), "\(length) bytes")
        }
        // Flags that are unknown, or do not go together.
        for flags in UInt8.min...255
        where flags > 63 || flags & 3 == 2 || flags & 48 == 32 || flags & 16 != 0 {
            var changed = runBytes
            changed[4] = flags
            #expect(changed.withUnsafeBytes { IngestionRun.decode($0, .second) } == nil)
        }
    }

    @Test("a source's name that is not UTF-8 is damage in either format, not another name")
    func badNames() throws {
        for name in [[0xFF], [0xC3, 0x28], [UInt8](repeating: 0xFF, count: 200)] as [[UInt8]] {
            var first: [UInt8] = []
            first.append(number: UInt32(1))
            first.append(number: Int64(1))
            first.append(number: UInt64(1))
            first.append(number: UInt8(name.count))
            first += name
            #expect(first.withUnsafeBytes { IngestionRun.decode($0, .first) } == nil)
            var second: [UInt8] = []
            IngestionRun(
                events: 1, ingestedAtMicros: 1, source: SourceMark(name: "x", point: .init(1))
            ).encode(into: &second)
            second.replaceSubrange(13..<15, with: [UInt8(name.count)] + name)
            #expect(second.withUnsafeBytes { IngestionRun.decode($0, .second) } == nil)
        }
    }

    private let head = LogHead(
        nextOffset: Offset(12_345), segment: Offset(12_000), segmentBytes: 6_789,
        digest: LogDigest(bytes: 99, crc: 7))

    private func readHead(_ bytes: [UInt8]) throws -> LogHead? {
        let folder = LogFolder()
        try folder.write(bytes, to: "head")
        return try LogHead.read(OpenFile(reading: folder.file("head")))
    }

    @Test("a head is read back, and a torn one is rejected")
    func headRoundTrip() throws {
        #expect(head.encoded.count == LogHead.size)
        #expect(try readHead(head.encoded) == head)
        for length in [0, 1, LogHead.size - 1] {
            #expect(try readHead(Array(head.encoded[..<length])) == nil)
        }
        #expect(try readHead([UInt8](repeating: 0, count: LogHead.size)) == nil)
    }

    @Test("every changed byte of a head is detected")
    func headCorruption() throws {
        for index in head.encoded.indices {
            var changed = head.encoded
            changed[index] ^= 0x10
            #expect(try readHead(changed) == nil, "byte \(index)")
        }
    }
}
