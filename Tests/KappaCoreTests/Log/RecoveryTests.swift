import Foundation
import Glibc
import KappaTesting
import Testing

@testable import KappaCore

@Suite("Recovery")
struct RecoveryTests {
    private let folder = LogFolder()
    private static let first = "00000000000000000000.log"

    /// A log of `count` appends of one event each.
    private func fill(
        _ count: Int, segmentBytes: Int = 256 << 20
    ) throws -> [String] {
        let writer = try LogWriter(
            folder.path, segmentBytes: segmentBytes, files: FaultyFiles())
        let texts = LogTesting.numbered(0..<count)
        for text in texts { _ = try writer.append(LogTesting.lines([text])) }
        return texts
    }

    private func damaged(_ body: () throws -> Void) -> KappaError? {
        do {
            try body()
            return nil
        } catch { return error as? KappaError }
    }

    @Test("a torn tail is cut, not replayed, and kept in a separate file")
    func tornTail() throws {
        let texts = try fill(3)
        let sound = try folder.bytes(Self.first)
        let head = try folder.bytes("head")
        // Half of an append that was in progress.
        _ = try LogWriter(folder.path).append(LogTesting.lines(["{}"]))
        let longer = try folder.bytes(Self.first)
        for cut in [sound.count + 1, sound.count + 40, longer.count - 1] {
            let torn = try folder.copy()
            try torn.write(head, to: "head")
            try torn.write(Array(longer[..<cut]), to: Self.first)
            let reopened = try LogWriter(torn.path)
            #expect(reopened.warnings.count == 1)
            #expect(reopened.warnings.first?.contains("\(cut - sound.count) bytes") == true)
            #expect(
                try torn.bytes("\(Self.first).torn-\(sound.count)")
                    == Array(longer[sound.count..<cut]))
            #expect(try torn.bytes(Self.first) == sound)
            _ = try reopened.append(LogTesting.lines([#"{"after":1}"#]))
            #expect(try LogTesting.texts(torn.path) == texts + [#"{"after":1}"#])
        }
    }

    @Test("a second torn tail at the same place does not overwrite the copy of the first")
    func tornTwice() throws {
        _ = try fill(1)
        let sound = try folder.bytes(Self.first)
        for rest in [[UInt8](repeating: 1, count: 10), [2, 2]] {
            try folder.write(sound + rest, to: Self.first)
            #expect(try LogWriter(folder.path).warnings.count == 1)
        }
        #expect(
            try folder.bytes("\(Self.first).torn-\(sound.count)")
                == [UInt8](repeating: 1, count: 10))
        #expect(try folder.bytes("\(Self.first).torn-\(sound.count)-2") == [2, 2])
    }

    @Test("a complete append that was not published yet is kept")
    func unpublished() throws {
        _ = try fill(3)
        let head = try folder.bytes("head")
        let writer = try LogWriter(folder.path)
        _ = try writer.append(LogTesting.lines(["{}"]))
        try folder.write(head, to: "head")
        #expect(try LogWriter(folder.path).warnings == [])
        #expect(try LogTesting.texts(folder.path) == LogTesting.numbered(0..<3) + ["{}"])
    }

    @Test("a head that is missing, torn or old is rebuilt from the segments")
    func head() throws {
        let texts = try fill(60, segmentBytes: 1_000)
        let segments = try SegmentFiles.list(folder.path)
        try #require(segments.count > 3)
        let head = try folder.bytes("head")
        let old = LogHead(
            nextOffset: .zero, segment: .zero, segmentBytes: 0, digest: .empty)
        for bytes in [nil, [], Array(head[..<20]), old.encoded] {
            let copy = try folder.copy()
            if let bytes { try copy.write(bytes, to: "head") } else { unlink(copy.file("head")) }
            // Reading rebuilds it as well; only an old one is believed.
            if bytes != old.encoded { #expect(try LogTesting.texts(copy.path) == texts) }
            #expect(try LogWriter(copy.path).warnings == [])
            #expect(try copy.bytes("head") == head)
            #expect(try LogTesting.texts(copy.path) == texts)
        }
    }

    @Test("the head is rebuilt even if the last segment has no block yet")
    func emptyLastSegment() throws {
        let texts = try fill(5)
        _ = try LogWriter(folder.path).roll()
        unlink(folder.file("head"))
        let writer = try LogWriter(folder.path)
        _ = try writer.append(LogTesting.lines(["{}"]))
        #expect(try LogTesting.texts(folder.path) == texts + ["{}"])
        #expect(try LogVerification(folder.path).damage == nil)
    }

    @Test("a segment that ends below the durable end is refused, and not changed")
    func truncated() throws {
        _ = try fill(3)
        let sound = try folder.bytes(Self.first)
        for size in [0, 10, sound.count - 1] {
            let copy = try folder.copy()
            try copy.write(Array(sound[..<size]), to: Self.first)
            let error = damaged { _ = try LogWriter(copy.path) }
            #expect(error?.code == .damaged && error?.place?.contains(Self.first) == true)
            #expect(try copy.bytes(Self.first).count == size)
            #expect(try LogVerification(copy.path).damage != nil)
        }
    }

    @Test("an emptied segment is damage wherever it is")
    func emptied() throws {
        _ = try fill(60, segmentBytes: 1_000)
        for segment in try SegmentFiles.list(folder.path) {
            let copy = try folder.copy()
            truncate(SegmentFiles.path(copy.path, segment), 0)
            let damage = try LogVerification(copy.path).damage
            #expect(damage?.place?.contains(SegmentFiles.path(copy.path, segment)) == true)
        }
    }

    @Test("a missing segment is refused")
    func missing() throws {
        _ = try fill(60, segmentBytes: 1_000)
        let segments = try SegmentFiles.list(folder.path)
        for (index, segment) in segments.enumerated() {
            let copy = try folder.copy()
            unlink(SegmentFiles.path(copy.path, segment))
            let refused = damaged { _ = try LogWriter(copy.path) }
            // Segments in the middle are not checked before something reads them.
            if index == 0 || index == segments.count - 1 { #expect(refused?.code == .damaged) }
            let read = damaged { _ = try LogTesting.texts(copy.path) }
            #expect(read?.code == .damaged, "\(segment)")
            #expect(read?.place?.contains(SegmentFiles.path(copy.path, segment)) == true)
        }
    }

    @Test("damage in the middle is refused, not cut, even if the head is lost")
    func middleWithoutHead() throws {
        _ = try fill(5)
        let sound = try folder.bytes(Self.first)
        let blockBytes = sound.count / 5
        unlink(folder.file("head"))
        for block in 0..<5 {
            let copy = try folder.copy()
            var bytes = sound
            bytes[block * blockBytes + blockBytes - 5] ^= 4
            try copy.write(bytes, to: Self.first)
            let error = damaged { _ = try LogWriter(copy.path) }
            if block < 4 {
                #expect(error?.code == .damaged)
                #expect(
                    error?.place?.contains("byte \(block * blockBytes), offset \(block)") == true)
                #expect(try copy.bytes(Self.first) == bytes)
            } else {
                // It is unknown whether the last one was acknowledged: it is moved to a separate file.
                #expect(error == nil)
                #expect(copy.names.contains("\(Self.first).torn-\(4 * blockBytes)"))
            }
        }
    }

    @Test("damage before the end of an earlier segment is refused if the head is old")
    func earlierSegment() throws {
        _ = try fill(60, segmentBytes: 1_000)
        let old = LogHead(nextOffset: .zero, segment: .zero, segmentBytes: 0, digest: .empty)
        try folder.write(old.encoded, to: "head")
        let second = try SegmentFiles.list(folder.path)[1]
        let path = SegmentFiles.path(folder.path, second)
        let name = String(path.dropFirst(folder.path.count + 1))
        var bytes = try folder.bytes(name)
        bytes[bytes.count - 3] ^= 1
        try folder.write(bytes, to: name)
        let error = damaged { _ = try LogWriter(folder.path) }
        #expect(error?.code == .damaged && error?.place?.contains(name) == true)
        #expect(try folder.bytes(name) == bytes)
    }

    @Test("everything before the damage is read, then the damage is reported, on every attempt")
    func beforeDamage() throws {
        let texts = try fill(9)
        let sound = try folder.bytes(Self.first)
        let blockBytes = sound.count / 9
        for block in 0..<9 {
            var bytes = sound
            bytes[block * blockBytes + blockBytes - 5] ^= 4
            try folder.write(bytes, to: Self.first)
            let reader = try LogReader(folder.path)
            let buffer = BlockBuffer()
            var read: [String] = []
            if block > 0 {
                let before = try #require(try reader.next(into: buffer))
                before.forEachEvent { event in
                    read.append(event.json.map { String(decoding: $0, as: UTF8.self) } ?? "")
                    return true
                }
            }
            #expect(read == Array(texts[..<block]))
            for _ in 0..<2 {
                let error = damaged { _ = try reader.next(into: buffer) }
                #expect(error?.code == .damaged)
                #expect(
                    error?.place
                        == "\(folder.file(Self.first)), byte \(block * blockBytes), offset \(block)"
                )
                #expect(reader.offset == Offset(UInt64(block)))
            }
            #expect(try LogVerification(folder.path).events == block)
        }
    }

    @Test("every flipped byte is detected, or is where nothing was acknowledged")
    func everyFlip() throws {
        let texts = try fill(14, segmentBytes: 700)
        let segments = folder.names.filter { $0.hasSuffix(".log") }
        try #require(segments.count >= 2)
        for sealed in [false, true] {
            if sealed { _ = try LogSealer(folder.path, zstd: true).seal() }
            let copy = try folder.copy()
            for name in copy.names where name.hasSuffix(".log") || name == "head" && !sealed {
                let sound = try copy.bytes(name)
                for index in sound.indices {
                    var changed = sound
                    changed[index] ^= UInt8(1 << (index % 8))
                    try copy.write(changed, to: name)
                    let found = try LogVerification(copy.path).damage
                    let read = (try? LogTesting.texts(copy.path)) ?? []
                    // A lost head is rebuilt, and a compressed block may have bits without meaning;
                    // everything else must be detected.
                    if name == "head" || sealed && found == nil { #expect(read == texts) }
                    if name != "head", !sealed { #expect(found != nil, "\(name), byte \(index)") }
                    #expect(texts.starts(with: read), "\(name), byte \(index): wrong events")
                    try copy.write(sound, to: name)
                }
            }
            #expect(try LogVerification(copy.path).damage == nil)
        }
    }

    @Test("random damage to a larger log never gives a wrong event or a crash")
    func randomDamage() throws {
        let texts = try fill(400, segmentBytes: 20_000)
        var random = SplitMix(state: LogTesting.seed)
        for _ in 0..<60 {
            let copy = try folder.copy()
            let names = copy.names.filter { $0 == "head" || $0.hasSuffix(".log") }
            var touched: Set<String> = []
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let name = names[Int.random(in: 0..<names.count, using: &random)]
                touched.insert(name)
                var bytes = try copy.bytes(name)
                let at = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.removeSubrange(at...)
                case 2: bytes.insert(contentsOf: bytes[..<min(bytes.count, 100)], at: at)
                default:
                    for index in at..<min(at + 600, bytes.count) { bytes[index] = 0 }
                }
                if bytes.isEmpty { bytes = [0] }
                try copy.write(bytes, to: name)
            }
            _ = try? LogWriter(copy.path)
            // What can be read is correct; if not everything can, an error says so.
            let reader = try? LogReader(copy.path)
            var read: [String] = []
            let failure = damaged {
                guard let reader else { throw KappaError(.damaged, "it does not open") }
                let buffer = BlockBuffer()
                while let block = try reader.next(into: buffer) {
                    block.forEachEvent { event in
                        read.append(event.json.map { String(decoding: $0, as: UTF8.self) } ?? "")
                        return true
                    }
                }
            }
            #expect(texts.starts(with: read), "seed \(LogTesting.seed)")
            let setAside = copy.names.contains { $0.contains(".torn-") }
            // Without the head, complete blocks missing at the very end cannot be detected.
            let last = names.filter { $0.hasSuffix(".log") }.max() ?? ""
            let cannotKnow = touched.isSuperset(of: ["head", last])
            #expect(
                read.count == texts.count || failure != nil || setAside || cannotKnow,
                "seed \(LogTesting.seed)")
        }
    }

    // MARK: Writers that die beside others

    @Test("what a dead writer left past the end is not read, whichever writer continues")
    func deadNeighbour() throws {
        let texts = try fill(3)
        // This writer was open before, and does not recover.
        let alive = try LogWriter(folder.path, segmentBytes: 1)
        let size = try folder.bytes(Self.first).count
        let garbage = LogFolder()
        _ = try LogWriter(garbage.path).append(LogTesting.lines(LogTesting.numbered(0..<50)))
        let sound = try folder.bytes(Self.first)
        try folder.write(sound + garbage.bytes(Self.first), to: Self.first)
        // It moves on to a new segment; the old one then ends where its events end.
        _ = try alive.append(LogTesting.lines(["{}"]))
        #expect(try folder.bytes(Self.first).count == size)
        #expect(try LogTesting.texts(folder.path) == texts + ["{}"])
        #expect(try LogVerification(folder.path).damage == nil)
    }

    @Test("a segment that a dead writer had begun is continued")
    func deadWhileRolling() throws {
        let texts = try fill(3)
        let alive = try LogWriter(folder.path)
        try folder.write(Array("half a bl".utf8), to: "00000000000000000003.log")
        for _ in 0..<2 { _ = try alive.append(LogTesting.lines(["{}"])) }
        #expect(try LogTesting.texts(folder.path) == texts + ["{}", "{}"])
        #expect(try LogReader(folder.path).digest(at: Offset(4)).bytes > 0)
        unlink(folder.file("head"))
        #expect(try LogTesting.texts(folder.path) == texts + ["{}", "{}"])
    }
}
