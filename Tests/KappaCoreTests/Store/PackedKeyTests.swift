import KappaTesting
import Testing

@testable import KappaCore

@Suite("The bytes of a key")
struct PackedKeyTests {
    private struct Key: Comparable {
        var text: [UInt8]
        var number: Int64
        var last: [UInt8]

        static func < (a: Key, b: Key) -> Bool {
            if a.text != b.text { return a.text.lexicographicallyPrecedes(b.text) }
            if a.number != b.number { return a.number < b.number }
            return a.last.lexicographicallyPrecedes(b.last)
        }

        func rowKey() -> PackedKey {
            let key = PackedKey(PackedKeyTests.schema)
            key.begin()
            text.withUnsafeBytes { key.add($0) }
            key.add(number)
            last.withUnsafeBytes { key.add($0) }
            return key
        }
    }

    fileprivate static let schema = TableSchema(
        name: "rows",
        columns: [
            ColumnSchema("text", .text, isKey: true), ColumnSchema("number", .integer, isKey: true),
            ColumnSchema("last", .text, isKey: true),
        ])

    private func keys(_ random: inout SplitMix) -> [Key] {
        // Few different bytes, so that keys begin alike; zeros and 0xFF have a meaning in the encoding.
        func text() -> [UInt8] {
            (0..<random.below(20)).map { _ in [0, 1, 0x61, 0xFF][random.below(4)] }
        }
        let numbers: [Int64] = [.min, -1, 0, 1, 255, .max]
        return (0..<60).map { _ in
            Key(text: text(), number: numbers[random.below(6)], last: text())
        }
    }

    @Test("order as the parts do, in their first bytes and in all")
    func order() {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        let all = keys(&random).map { ($0, $0.rowKey()) }
        for (a, x) in all {
            for (b, y) in all {
                #expect(x.isBefore(y) == (a < b), "seed \(seed): \(a), \(b)")
                let (s, t) = (x.start, y.start)
                if s.word != t.word {
                    #expect((s.word < t.word) == (a < b), "seed \(seed): \(a), \(b)")
                } else if s.isWhole || t.isWhole {
                    #expect(a == b, "seed \(seed): \(a), \(b)")
                }
            }
        }
    }

    @Test("are saved part by part, and read again")
    func saving() throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        for key in keys(&random) {
            var state = StateWriter()
            key.rowKey().save(to: &state)
            var expected = StateWriter()
            key.text.withUnsafeBytes { expected.write(text: $0) }
            withUnsafeBytes(of: key.number.littleEndian) { expected.write(text: $0) }
            key.last.withUnsafeBytes { expected.write(text: $0) }
            #expect(state.bytes == expected.bytes, "seed \(seed): \(key)")
            let read = PackedKey(Self.schema)
            try state.bytes.reading { state throws(KappaError) in try read.load(from: &state) }
            let own = key.rowKey()
            let isSame = withExtendedLifetime((read, own)) { read.bytes.elementsEqual(own.bytes) }
            #expect(isSame, "seed \(seed): \(key)")
        }
    }

    @Test("without a row are saved as nothing, and bytes that are not a key are damage")
    func nothing() throws {
        var state = StateWriter()
        PackedKey(Self.schema).save(to: &state)
        #expect(state.bytes == [0, 0, 0])
        let read = PackedKey(Self.schema)
        try state.bytes.reading { state throws(KappaError) in try read.load(from: &state) }
        #expect(read.bytes.isEmpty)
        let error = #expect(throws: KappaError.self) {
            try [UInt8]([0, 3, 1, 2, 3, 0]).reading { state throws(KappaError) in
                try read.load(from: &state)
            }
        }
        #expect(error?.code == .damaged)
    }
}
