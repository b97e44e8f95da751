import KappaTesting
import Testing

@testable import KappaCore

@Suite("Picking events of the log")
struct EventPickerTests {
    private let folder = LogFolder()

    @Test(
        "each event is the one at its offset, in any order, over blocks and segments, sealed or not"
    )
    func anyOrder() throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        let comment: Comment = "KAPPA_SEED=\(seed)"
        let writer = try LogWriter(folder.path, segmentBytes: 3_000, files: FaultyFiles())
        var count = 0
        while count < 400 {
            let piece = 1 + random.below(random.pick([1, 60]))
            _ = try writer.append(
                LogTesting.lines(LogTesting.numbered(count..<(count + piece))))
            count += piece
        }
        let texts = try LogTesting.texts(folder.path)
        func check(_ offsets: [Int]) throws {
            let picker = EventPicker(try LogReader(folder.path))
            for offset in offsets {
                let line = try picker.event(at: Offset(UInt64(offset))).line
                #expect(String(decoding: line, as: UTF8.self) == texts[offset] + "\n", comment)
            }
        }
        for isSealed in [false, true] {
            if isSealed {
                _ = try LogSealer(folder.path, zstd: true, files: FaultyFiles()).seal()
            }
            try check(Array(0..<count))
            try check((0..<count).filter { _ in random.chance(1, in: 20) })
            try check((0..<200).map { _ in random.below(count) })
        }
        let picker = EventPicker(try LogReader(folder.path))
        #expect(throws: KappaError.self) { try picker.event(at: Offset(UInt64(count))) }
    }
}
