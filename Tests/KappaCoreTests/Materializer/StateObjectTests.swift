import CKappaJSON
import KappaTesting
import Testing

@testable import KappaCore

/// Each state of many values: what it holds, saves and counts.
@Suite("States of many values") struct StateObjectTests {
    private static func saved(_ object: StateObject) -> [UInt8] {
        var state = StateWriter()
        object.save(to: &state)
        return state.bytes
    }

    private static func integers(_ random: inout SplitMix) -> [Int64] {
        let count = random.pick([0, 1, 3, 4, 100, 3_000])
        return (0..<count).map { _ in
            random.pick([
                0, 1, -1, .min, .max, Int64(random.below(2_000)),
                Int64(truncatingIfNeeded: random.next()),
            ])
        }
    }

    @Test("distinct integers equal those of a set, in any order", arguments: Seeds.random(10))
    func integers(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        let values = Self.integers(&random)
        let others = Self.integers(&random)
        let one = DistinctIntegers(kind: .integer)
        for value in values { one.insert(value) }
        #expect(one.sorted == Set(values).sorted(), "seed \(seed)")
        let two = DistinctIntegers(kind: .integer)
        for value in others.shuffled(using: &random) { two.insert(value) }
        one.merge(two)
        let whole = DistinctIntegers(kind: .integer)
        for value in (values + others).shuffled(using: &random) { whole.insert(value) }
        #expect(one.sorted == Set(values + others).sorted(), "seed \(seed)")
        #expect(Self.saved(one) == Self.saved(whole), "seed \(seed)")
        let back = DistinctIntegers(kind: .integer)
        try Self.saved(one).withUnsafeBytes {
            var reader = StateReader($0)
            try back.load(from: &reader)
        }
        #expect(back.sorted == one.sorted, "seed \(seed)")
    }

    @Test("distinct texts equal those of a set, in any order", arguments: Seeds.random(10))
    func texts(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        let values = (0..<random.pick([0, 1, 4, 500])).map { _ in
            [UInt8](
                repeating: UInt8(random.below(3)), count: random.pick([0, 1, 7, 8, 9, 40]))
                + Array("\(random.below(200))".utf8).prefix(random.below(4))
        }
        func made(_ values: [[UInt8]]) -> DistinctTexts {
            let texts = DistinctTexts(kind: .text)
            for value in values { value.withUnsafeBytes { texts.insert($0) } }
            return texts
        }
        let cut = random.below(values.count + 1)
        let one = made(Array(values[..<cut]))
        one.merge(made(Array(values[cut...])))
        #expect(one.count == Set(values).count, "seed \(seed)")
        #expect(
            Self.saved(one) == Self.saved(made(values.shuffled(using: &random))), "seed \(seed)")
        let back = DistinctTexts(kind: .text)
        try Self.saved(one).withUnsafeBytes {
            var reader = StateReader($0)
            try back.load(from: &reader)
        }
        #expect(Self.saved(back) == Self.saved(one), "seed \(seed)")
    }

    @Test("integers of all sizes are sorted", arguments: Seeds.random(5))
    func sort(seed: UInt64) {
        var random = SplitMix(state: seed)
        let values = Self.integers(&random) + Self.integers(&random)
        var sorted = values
        WordSort.sort(&sorted)
        #expect(sorted == values.sorted(), "seed \(seed)")
    }

    @Test(
        "a bucket represents each of its numbers to one part in 129, and small whole ones exactly"
    )
    func buckets() {
        var random = SplitMix(state: 7)
        var numbers = [0, 1, 127, 128, 129, 5e15, 0.1, 1e-300, 1e308, .greatestFiniteMagnitude]
        numbers += (0...128).map { Double($0) }
        numbers += (0..<2_000).map { _ in
            Double.random(in: 0..<1, using: &random) * random.pick([1e-9, 1, 200, 1e12])
        }
        for number in numbers {
            let bucket = QuantileBucket.number(number)
            let value = QuantileBucket.value(bucket)
            #expect(abs(value - number) <= number / 129 * (1 + 1e-12), "\(number): \(value)")
            if number == number.rounded(), number <= 128 { #expect(value == number) }
            #expect(QuantileBucket.number(-number) == -bucket)
            #expect(QuantileBucket.value(-bucket) == -value)
            #expect(QuantileBucket.number(number.nextUp) >= bucket)
        }
        #expect(QuantileBucket.value(QuantileBucket.number(.infinity)) == .infinity)
        #expect(QuantileBucket.number(.leastNonzeroMagnitude) == 0)
    }

    @Test(
        "doubles order like their integer keys",
        arguments: [
            -Double.infinity, -1e300, -1.5, -1e-300, 0, .leastNonzeroMagnitude, 0.1, 2, .infinity,
        ])
    func orderedDoubles(value: Double) {
        #expect(Int64.ordered(value).double == value)
        #expect(Int64.ordered(value) <= Int64.ordered(value.nextUp))
        #expect(Int64.ordered(-value) == Int64.ordered(0 - value))
    }

    @Test("a whole average divides the exact sum, with every way of rounding")
    func wholeDivision() {
        let rules: [FloatingPointRoundingRule] = [
            .towardZero, .awayFromZero, .up, .down, .toNearestOrEven, .toNearestOrAwayFromZero,
        ]
        for sum in -25...25 {
            for count in 1...9 {
                for rule in rules {
                    let exact = (Double(sum) / Double(count)).rounded(rule)
                    let found = WholeDivision.divide(
                        Int128(sum), by: Int64(count), rounding: .init(rule))
                    #expect(found == Int64(exact), "\(sum) / \(count), \(rule)")
                }
            }
        }
        let large = Int128(Int64.max) * 5 - 1
        #expect(WholeDivision.divide(large, by: 5, rounding: .towardZero) == .max - 1)
        #expect(WholeDivision.divide(large, by: 5, rounding: .up) == .max)
        #expect(WholeDivision.divide(-large, by: 5, rounding: .toNearestOrEven) == -.max)
    }

    @Test("averages of integers do not overflow even if their sum does")
    func largeAverage() throws {
        struct Entry: Event {
            static let eventType: String? = nil
            var n: Int
        }
        let view = View("means") {
            Events(Entry.self)
                .grouped(as: "all") { _ in "all" }
                .aggregate(
                    .average(\.n, rounding: .towardZero).as("whole"), .average(\.n).as("mean"))
        }
        let lines = (0..<4).map { #"{"n":\#(Int64.max - Int64($0))}"# }
        let way = EventsWay(appends: [1, 1, 1, 1], restarts: 100)
        let cells: [Value] = try #require(try way.run(view, lines).tables[0].first)
        #expect(Array(cells[1...]) == [.integer(.max - 2), .double(0x1p63)])
    }

    @Test("damaged states are refused", arguments: Seeds.random(6))
    func damage(seed: UInt64) {
        var random = SplitMix(state: seed)
        let bytes = (0..<random.below(40)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        let held = StateBytes()
        for make in Self.makers {
            let object = make(held.counter)
            // Whatever it contains, reading it ends, with or without an error.
            _ = try? bytes.withUnsafeBytes {
                var reader = StateReader($0)
                try object.load(from: &reader, EmptyCursor(), 0)
            }
        }
        for make in Self.makers {
            #expect(throws: KappaError.self) {
                try [UInt8(9), 1, 2].withUnsafeBytes {
                    var reader = StateReader($0)
                    try make(held.counter).load(from: &reader, EmptyCursor(), 0)
                }
            }
        }
    }

    private typealias Maker = (UnsafeMutablePointer<Int>) -> StateObject

    /// One of every kind of state, of texts if possible.
    private static var makers: [Maker] {
        func accumulator(
            _ aggregate: Aggregate<Reading, Columns>, _ counter: UnsafeMutablePointer<Int>
        ) -> Accumulator {
            Accumulator(
                AggregateShape(aggregate.named("m")), place: 0, savesOffsets: false,
                heldBytes: counter)
        }
        return [
            { DistinctIntegers(kind: .integer, $0) }, { DistinctTexts(kind: .text, $0) },
            { DistinctSketch(kind: .text, $0) },
            { CollectedValues(limit: 50, kind: .text, $0) },
            { ValueBag<Int64>(accumulator(.median(\.count).as("m"), $0)) },
            { ValueBag<ByteText>(accumulator(.median(\.note).as("m"), $0)) },
            { ValueBag<ExactDecimal>(accumulator(.median(\.amount).as("m"), $0)) },
            { RankedValues<ByteText>(accumulator(.top(50, \.note).as("t"), $0)) },
        ]
    }

    @Test("the memory of states is counted as they grow, and released", arguments: [10, 2_000])
    func heldBytes(count: Int) {
        let bytes = StateBytes()
        let integers = ComputedColumn(kind: .integer)
        let texts = ComputedColumn(kind: .text)
        let decimals = ComputedColumn(kind: .decimal)
        for row in 0..<count {
            integers.set(row, .integer(Int64(row)))
            texts.set(row, .text("a text of some length, number \(row)"))
            decimals.set(row, .decimal(ExactDecimal(mantissa: Int128(row), scale: 2)))
        }
        do {
            var objects: [StateObject] = []
            for (number, make) in Self.makers.enumerated() {
                let (one, two) = (make(bytes.counter), make(bytes.counter))
                let column = [integers, texts, texts, texts, integers, texts, decimals, texts]
                for row in 0..<count {
                    let object = row % 3 == 0 ? one : two
                    object.add(column[number].column, nil, row, offset: Int64(row))
                }
                one.merge(two)
                objects += [one, two]
                #expect(bytes.total == objects.reduce(0) { $0 + $1.byteCount })
                let least = [count * 8, count * 30, 1, min(50, count) * 30, count * 16, count * 60]
                #expect(number >= least.count || one.byteCount >= least[number])
            }
        }
        #expect(bytes.total == 0)
    }

    private struct Word: Event {
        static let eventType: String? = nil
        var word: String
    }

    @Test("states count against a version's memory, and are evicted past its budget")
    func budget() throws {
        let view = View("words") {
            Events(Word.self)
                .grouped(as: "all") { _ in "all" }
                .aggregate(.countDistinct(\.word).as("words"))
        }
        let definition = try #require(
            try ViewSet([view]).definitions(allowUndigested: true).first)
        for (budget, expected) in [(1 << 30, 100_000...400_000), (50_000, 0...50_000)] {
            let folder = try TemporaryFolder(inMemory: true)
            let writer = try LogWriter(folder.path + "/log")
            var batch = EventLines()
            for number in 0..<2_000 {
                batch.append(
                    try EventLines(
                        event: #"{"word":"one of very many different words, \#(number)"}"#))
            }
            _ = try writer.append(batch)
            let store = try VersionStore(
                at: folder.path + "/words.db", view: "words", number: 1,
                digest: definition.digest, tables: definition.tables)
            let plan = ExtractionPlan()
            let version = try VersionMaterializer(
                definition, store: store, plan: plan, budgetBytes: budget)
            try Scan(folder.path + "/log", [version], plan: plan, options: .init()).run()
            #expect(expected.contains(version.memoryBytes), "\(version.memoryBytes)")
        }
    }
}

/// A row whose cells are all null.
private final class EmptyCursor: RowCursor {
    func isNull(_ index: Int) -> Bool { true }
    func integer(_ index: Int) -> Int64 { 0 }
    func double(_ index: Int) -> Double { 0 }
    func text(_ index: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: nil, count: 0)
    }
    func blob(_ index: Int) -> UnsafeRawBufferPointer { text(index) }
    func storage(_ index: Int) -> CellStorage { .null }
}
