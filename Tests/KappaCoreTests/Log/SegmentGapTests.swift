import Glibc
import Testing

@testable import KappaCore

/// Missing, empty or stray segments below the durable end: appending refuses them without reading any of
/// them.
@Suite("Gaps between segments") struct SegmentGapTests {
    private let folder = LogFolder()

    private func fill(_ folder: LogFolder) throws -> [Offset] {
        let writer = try LogWriter(folder.path, segmentBytes: 1_000)
        for text in LogTesting.numbered(0..<60) {
            _ = try writer.append(LogTesting.lines([text]))
        }
        return try SegmentFiles.list(folder.path)
    }

    private func refusal(_ folder: LogFolder) throws -> KappaError? {
        let names = folder.names
        let error = #expect(throws: KappaError.self) {
            _ = try LogWriter(folder.path).append(LogTesting.lines(["{}"]))
        }
        #expect(error?.code == .damaged)
        #expect(folder.names.filter { $0 != "lock" } == names.filter { $0 != "lock" })
        return error
    }

    @Test("appending refuses if any segment is missing, and names its file and offset")
    func missing() throws {
        let segments = try fill(folder)
        try #require(segments.count > 4)
        for segment in segments.dropLast() {
            let copy = try folder.copy()
            let path = SegmentFiles.path(copy.path, segment)
            unlink(path)
            let error = try refusal(copy)
            #expect(error?.place == "\(path), offset \(segment)", "\(error.map { "\($0)" } ?? "")")
            // Nothing else was changed: with its file back, the log is complete.
            try copy.write(
                folder.bytes(SegmentFiles.path("", segment).dropFirst().description),
                to: SegmentFiles.path("", segment).dropFirst().description)
            _ = try LogWriter(copy.path).append(LogTesting.lines([#"{"after":1}"#]))
            #expect(
                try LogTesting.texts(copy.path)
                    == LogTesting.numbered(0..<60) + [#"{"after":1}"#])
        }
        // Several at once.
        let copy = try folder.copy()
        for segment in segments[1...2] { unlink(SegmentFiles.path(copy.path, segment)) }
        let error = try refusal(copy)
        #expect(error?.place?.contains("offset \(segments[1])") == true)
    }

    @Test("appending refuses if a segment in the middle is empty")
    func empty() throws {
        let segments = try fill(folder)
        for segment in segments.dropLast() {
            for bytes in [0, BlockHeader.mostBytes - 1] {
                let copy = try folder.copy()
                truncate(SegmentFiles.path(copy.path, segment), bytes)
                let error = try refusal(copy)
                #expect(error?.place?.contains(SegmentFiles.path(copy.path, segment)) == true)
                #expect(error?.place?.contains("offset \(segment)") == true)
            }
        }
    }

    @Test("appending refuses if there is a stray file between the segments")
    func stray() throws {
        let segments = try fill(folder)
        let copy = try folder.copy()
        let path = SegmentFiles.path(copy.path, segments[1] + 1)
        try FileCopy.copy(SegmentFiles.path(copy.path, segments[1]), to: path)
        let error = try refusal(copy)
        #expect(error?.place == "\(path), offset \(segments[1] + 1)")
    }

    @Test("files with names like a segment's are none, and sealing leaves the log whole")
    func strayNames() throws {
        let segments = try fill(folder)
        let texts = try LogTesting.texts(folder.path)
        let first = try folder.bytes("00000000000000000000.log")
        for name in [
            "+0000000000000000000.log", "-0000000000000000000.log", " 0000000000000000000.log",
            "0000000000000000000\u{3000}.log", "99999999999999999999.log",
        ] { try folder.write(first, to: name) }
        #expect(try SegmentFiles.list(folder.path) == segments)
        _ = try LogSealer(folder.path, zstd: true, files: FaultyFiles()).seal()
        #expect(try LogTesting.texts(folder.path) == texts)
        _ = try LogWriter(folder.path).append(LogTesting.lines(["{}"]))
        #expect(try LogTesting.texts(folder.path) == texts + ["{}"])
    }

    @Test("verifying notices a head that does not fit the segments")
    func wrongHead() throws {
        _ = try fill(folder)
        #expect(try LogVerification(folder.path).damage == nil)
        let sound = try #require(try LogHead.read(OpenFile(reading: folder.file("head"))))
        var heads = [sound, sound, sound]
        heads[0].digest.crc ^= 1
        heads[1].digest.bytes += 1
        heads[2].earlierSegments = 1
        for head in heads {
            try folder.write(head.encoded, to: "head")
            let damage = try LogVerification(folder.path).damage
            #expect(damage?.place == folder.file("head"))
        }
    }

    @Test("a head of the first format is read, and knows the number of segments from then on")
    func firstFormat() throws {
        let segments = try fill(folder)
        let file = try OpenFile(reading: folder.file("head"))
        var head = try #require(try LogHead.read(file))
        #expect(head.earlierSegments == segments.count - 1)
        let new = head.encoded
        head.earlierSegments = nil
        #expect(head.encoded.prefix(4) == Array("KPH1".utf8)[...])
        try folder.write(head.encoded, to: "head")
        #expect(try LogTesting.texts(folder.path).count == 60)
        _ = try LogWriter(folder.path)
        #expect(try folder.bytes("head") == new)
    }

    @Test("the number stays correct after sealing, with a lost head, and with an old one")
    func counted() throws {
        let segments = try fill(folder)
        let old = LogHead(nextOffset: .zero, segment: .zero, segmentBytes: 0, digest: .empty)
        for bytes in [nil, old.encoded] {
            let copy = try folder.copy()
            if let bytes { try copy.write(bytes, to: "head") } else { unlink(copy.file("head")) }
            _ = try LogWriter(copy.path)
            #expect(try copy.bytes("head") == folder.bytes("head"))
            unlink(SegmentFiles.path(copy.path, segments[2]))
            _ = try refusal(copy)
        }
        // By another writer, which rolls too.
        let writer = try LogWriter(folder.path, segmentBytes: 1_000)
        _ = try writer.roll()
        _ = try writer.append(LogTesting.lines(["{}"]))
        _ = try LogWriter(folder.path).append(LogTesting.lines(["{}"]))
        unlink(SegmentFiles.path(folder.path, segments[segments.count - 1]))
        let error = try refusal(folder)
        #expect(error?.place?.contains("offset \(segments[segments.count - 1])") == true)
    }
}
