import KappaTesting
import Testing

@testable import KappaCore

@Suite("Sorting by key, and sharing work among threads")
struct KeySortTests {
    @Test(
        "sorts as part-by-part comparison does, few keys and many",
        arguments: [0, 1, 2, 200, 5_000])
    func sorts(_ count: Int) {
        for seed in Seeds.random(4) {
            var random = SplitMix(state: seed)
            let prefix =
                ["", "user_", "a long beginning that all have "]
                .randomElement(using: &random) ?? ""
            let texts = (0..<count).map { _ in
                let length = Int.random(in: 0...20, using: &random)
                return Array(prefix.utf8)
                    + (0..<length).map { _ in UInt8.random(in: 0x60...0x63, using: &random) }
            }
            let numbers = (0..<count).map { _ in
                [Int64.min, -1, 0, 1, .max].randomElement(using: &random)
                    ?? Int64.random(in: -1_000...1_000, using: &random)
            }
            let storage = texts.map { text in
                let copy = UnsafeMutableRawBufferPointer.allocate(
                    byteCount: max(1, text.count), alignment: 1)
                copy.copyBytes(from: text)
                return UnsafeRawBufferPointer(rebasing: copy[..<text.count])
            }
            defer { for text in storage { text.baseAddress?.deallocate() } }
            var sort = KeySort((0..<UInt32(count)).map { $0 })
            sort.sortByIntegers { numbers[Int($0)] }
            sort.sortByTexts { storage[Int($0)] }
            let expected = (0..<count).sorted { a, b in
                if texts[a] != texts[b] { return texts[a].lexicographicallyPrecedes(texts[b]) }
                return numbers[a] != numbers[b] ? numbers[a] < numbers[b] : a < b
            }
            #expect(sort.ids.map(Int.init) == expected, "seed \(seed)")
        }
    }

    @Test("sorts by several integers at once", arguments: [2, 300, 20_000])
    func sortsIntegers(_ count: Int) {
        for seed in Seeds.random(6) {
            var random = SplitMix(state: seed)
            let parts = Int.random(in: 1...4, using: &random)
            // Narrow ones fit one word together; of the widest, one alone does.
            let columns = (0..<parts).map { _ in
                let step = [1, 64, 2_000_000].randomElement(using: &random) ?? 1
                let spread = [0, 1, 300, 1 << 40].randomElement(using: &random) ?? 0
                let extremes = Int.random(in: 0..<4, using: &random) == 0
                return (0..<count).map { _ in
                    if extremes, Int.random(in: 0..<9, using: &random) == 0 {
                        return [Int64.min, .max].randomElement(using: &random) ?? 0
                    }
                    return Int64(Int.random(in: -spread...spread, using: &random) * step)
                }
            }
            var sort = KeySort((0..<UInt32(count)).map { $0 })
            sort.sortByIntegers(parts: 0..<parts) { columns[$1][Int($0)] }
            let expected = (0..<count).sorted { a, b in
                for column in columns where column[a] != column[b] { return column[a] < column[b] }
                return a < b
            }
            #expect(sort.ids.map(Int.init) == expected, "seed \(seed)")
        }
    }

    @Test("every piece is done once before the job is over")
    func crew() {
        let crew = WorkCrew()
        for count in [0, 1, 2, 7, 100] {
            for _ in 0..<50 {
                let total = Monitor(0)
                crew.run(count) { piece in total.withLock { $0 += piece + 1 } }
                #expect(total.withLock { $0 } == count * (count + 1) / 2)
            }
        }
    }
}
