import KappaTesting
import Testing

@testable import KappaCore

/// Variances, argMin and argMax, lists, sketches and conditions over random events, against the slow
/// reference.
@Suite("Further aggregates equal the reference") struct FurtherAggregateTests {
    private typealias A = EventsAggregates

    private static let spreads: [Aggregate<Reading, Columns>] = [
        .variance(\.count, .population).as("counts"),
        .variance(\.amount, .sample).as("amounts"),
        .standardDeviation(\.ratio, .population).as("ratios"),
        .standardDeviation(\.price, .sample).as("prices"),
    ]
    private static var spreadsExpected: [([Reading]) -> Value] {
        [
            { A.variance($0.map { Double($0.count) }, sample: false) },
            { A.variance($0.map(\.amount.doubleValue), sample: true) },
            { A.deviation($0.map(\.ratio), sample: false) },
            { A.deviation($0.map { $0.price?.doubleValue }, sample: true) },
        ]
    }

    private static let picks: [Aggregate<Reading, Columns>] = [
        .argMin(\.note, by: \.count).as("note_of_least"),
        .argMax(\.user, by: \.price).as("user_of_largest"),
        .argMax(\.amount, by: \.note).as("amount_of_largest_note"),
        .argMin(\.isGood, by: \.ratio).as("good_of_least"),
        .argMax(\.place, by: \.at).as("place_of_latest"),
        .collect(\.note, limit: 3).as("notes"),
        .collect(\.amount, limit: 1_000).as("amounts"),
        .approximateDistinct(\.user).as("users"),
        .approximateDistinct(\.count).as("counts"),
    ]
    private static var picksExpected: [([Reading]) -> Value] {
        [
            { A.arg($0, value: \.note, key: \.count, beats: <) },
            { A.arg($0, value: \.user, key: \.price, beats: >) },
            { A.arg($0, value: \.amount, key: \.note) { A.bytesPrecede($1, $0) } },
            { A.arg($0, value: \.isGood, key: \.ratio, beats: <) },
            { A.arg($0, value: \.place, key: \.at, beats: >) },
            { A.collected($0.map(\.note), limit: 3) },
            { A.collected($0.map(\.amount), limit: 1_000) },
            { A.sketched($0.map(\.user)) },
            { A.sketched($0.map(\.count)) },
        ]
    }

    private static let odd = ExactDecimal(mantissa: 12_345, scale: 3)

    /// Conditions that can be evaluated on columns.
    private static let conditions: [Aggregate<Reading, Columns>] = [
        .count().where(\.count < 100).as("small"),
        .count(\.note).where(\.isGood == true).as("notes"),
        .sum(\.amount).where(\.note == "x" || \.note == nil).as("amounts"),
        .sum(\.weight).where(\.extra != -7).as("weights"),
        .max(\.count).where(\.price >= 5 && \.price <= 500).as("largest"),
        .first(\.note).where(!(\.ratio > 0.1)).as("first_note"),
        .last(\.user).where(\.user > "b").as("last_user"),
        .average(\.count).where(\.at < Timestamp(microseconds: 1_700_000_100_000_000)).as("mean"),
        .countDistinct(\.user).where(\.weight <= 0.1).as("users"),
        .collect(\.place, limit: 5).where(\.amount != odd).as("places"),
    ]
    private static var conditionsExpected: [([Reading]) -> Value] {
        [
            { $0.filter { $0.count < 100 }.count.cell },
            { A.there($0.filter(\.isGood).map(\.note)).count.cell },
            { $0.filter { $0.note == "x" || $0.note == nil }.map(\.amount).reduce(0, +).cell },
            { $0.filter { $0.extra != -7 }.map(\.weight).reduce(0, +).cell },
            {
                A.largest(
                    $0.filter { reading in reading.price.map { $0 >= 5 && $0 <= 500 } ?? false }
                        .map(\.count))
            },
            { ($0.first { !($0.ratio.map { $0 > 0.1 } ?? false) }?.note).cell },
            { ($0.last { A.bytesPrecede("b", $0.user) }?.user).cell },
            {
                A.average(
                    $0.filter { $0.at.microseconds < 1_700_000_100_000_000 }
                        .map { ExactDecimal(Int64($0.count)) })
            },
            { A.distinct($0.filter { $0.weight <= 0.1 }.map(\.user)) },
            { A.collected($0.filter { $0.amount != odd }.map(\.place), limit: 5) },
        ]
    }

    /// Conditions that are equal, or have equal parts, and ranges of integers.
    private static let shared: [Aggregate<Reading, Columns>] = [
        .count().where(\.count < -300).as("low"),
        .sum(\.amount).where(\.count < -300).as("low_sum"),
        .count().where(\.count >= -300 && \.count < 300).as("middle"),
        .countDistinct(\.user).where(\.count >= -300 && \.count < 300).as("middle_users"),
        .last(\.note).where(\.count >= -300 && \.count < 300).as("middle_note"),
        .count().where(\.count >= 300).as("high"), .max(\.at).where(\.count >= 300).as("high_at"),
        .count().where(\.count >= -300 && \.count < 300 && \.isGood == true).as("good"),
        .count().where(!(\.count >= -300 && \.count < 300)).as("others"),
        .count().where(\.count > 5 && \.count < 3).as("none"),
        .count().where(\.count > .max).as("ends"),
        .count().where(\.extra == -7).as("seven"), .count().where(\.extra != -7).as("not_seven"),
        .count().where(
            \.at > Timestamp(microseconds: 1_700_000_050_000_000)
                && \.at <= Timestamp(microseconds: 1_700_000_150_000_000)
        ).as("then"),
    ]
    private static var sharedExpected: [([Reading]) -> Value] {
        let middle: (Reading) -> Bool = { -300..<300 ~= $0.count }
        return [
            { $0.filter { $0.count < -300 }.count.cell },
            { $0.filter { $0.count < -300 }.map(\.amount).reduce(0, +).cell },
            { $0.filter(middle).count.cell }, { A.distinct($0.filter(middle).map(\.user)) },
            { ($0.last(where: middle)?.note).cell },
            { $0.filter { $0.count >= 300 }.count.cell },
            { A.largest($0.filter { $0.count >= 300 }.map(\.at)) },
            { $0.filter { middle($0) && $0.isGood }.count.cell },
            { $0.filter { !middle($0) }.count.cell }, { _ in 0.cell }, { _ in 0.cell },
            { $0.filter { $0.extra == -7 }.count.cell },
            { $0.filter { $0.extra != -7 }.count.cell },
            {
                $0.filter {
                    $0.at.microseconds > 1_700_000_050_000_000
                        && $0.at.microseconds <= 1_700_000_150_000_000
                }.count.cell
            },
        ]
    }

    @Test(
        "equal conditions and equal parts are evaluated in one loop, and so is a range of integers")
    func sharedConditions() {
        let conditions = ColumnConditions()
        func mask(_ condition: Condition<Reading>) -> RowMask? {
            conditions.mask(of: condition) { [\Reading.count, \Reading.user].firstIndex(of: $0) }
        }
        let low = mask(\.count < 10_000)
        #expect(low != nil && low === mask(\.count < 10_000))
        #expect(low === mask(\.count <= 9_999))
        #expect(conditions.count == 1)
        #expect(mask(\.count >= 5 && \.count < 10) === mask(\.count < 10 && \.count >= 5))
        #expect(conditions.count == 2)
        #expect(mask(\.count < 10_000 && \.user == "é") !== mask(\.user == "e\u{301}"))
        #expect(conditions.count == 5)
        #expect(mask(\.count < 10_000 && \.user == "é") === mask(\.count < 10_000 && \.user == "é"))
        #expect(conditions.count == 5)
        #expect(mask(\.note == "x") == nil)
        #expect(mask(Condition(closure: { $0.count < 10_000 })) == nil)
    }

    /// The same with closures, for which the elements must be made.
    private static let closures: [Aggregate<Reading, Columns>] = [
        .count().where({ $0.count < 100 }).as("small"),
        .sum(of: { $0.amount + $0.amount }).where({ $0.note != "x" }).as("doubled"),
        .variance(\.count, .population).where({ $0.isGood }).as("spread"),
        .argMax(\.note, by: \.at).where({ $0.extra != nil }).as("note"),
        .approximateDistinct(\.user).where({ $0.user.count > 3 }).as("users"),
    ]
    private static var closuresExpected: [([Reading]) -> Value] {
        [
            { $0.filter { $0.count < 100 }.count.cell },
            { $0.filter { $0.note != "x" }.map { $0.amount + $0.amount }.reduce(0, +).cell },
            { A.variance($0.filter(\.isGood).map { Double($0.count) }, sample: false) },
            { A.arg($0.filter { $0.extra != nil }, value: \.note, key: \.at, beats: >) },
            { A.sketched($0.filter { $0.user.count > 3 }.map(\.user)) },
        ]
    }

    private static let choices = [
        EventsChoice("spreads", spreads) { spreadsExpected },
        EventsChoice("picks", picks) { picksExpected },
        EventsChoice("conditions", conditions) { conditionsExpected },
        EventsChoice("shared", shared) { sharedExpected },
        EventsChoice("closures", closures) { closuresExpected },
    ]

    @Test("by key", arguments: Seeds.random(4))
    func byKey(seed: UInt64) throws {
        for choice in Self.choices { try choice.checkByKey(seed: seed) }
    }

    @Test("in sessions that merge, with and without lateness", arguments: Seeds.random(6))
    func sessions(seed: UInt64) throws {
        for choice in Self.choices { try choice.checkSessions(seed: seed) }
    }

    @Test("a sketch is off by a few percent at most, and small counts are nearly exact")
    func sketchError() {
        for count in [0, 1, 2, 10, 100, 500, 1_000, 5_000, 20_000, 100_000] {
            let sketch = DistinctSketch()
            for number in 0..<count {
                sketch.insert(hash: DistinctSketch.mix(UInt64(number)))
            }
            let error = abs(Double(sketch.estimate) - Double(count))
            // Three standard errors; below that, two values that share a register.
            #expect(error <= max(1, 0.049 * Double(count)), "\(count): \(sketch.estimate)")
        }
    }

    @Test(
        "a sketch is the union of its parts, and the same after a restart", arguments: [3, 5_000])
    func sketchUnion(count: Int) throws {
        let whole = DistinctSketch()
        let parts = [DistinctSketch(), DistinctSketch()]
        for number in 0..<(2 * count) {
            let hash = DistinctSketch.mix(UInt64(number))
            whole.insert(hash: hash)
            parts[number % 3 == 0 ? 0 : 1].insert(hash: hash)
        }
        parts[0].merge(parts[1])
        var written = StateWriter()
        parts[0].save(to: &written)
        var expected = StateWriter()
        whole.save(to: &expected)
        #expect(written.bytes == expected.bytes)
        let back = DistinctSketch()
        try written.bytes.withUnsafeBytes {
            var reader = StateReader($0)
            try back.load(from: &reader)
        }
        #expect(back.estimate == whole.estimate)
    }

    @Test("a damaged sketch is refused", arguments: [-1, 1, 2])
    func damagedSketch(count: Int64) {
        var written = StateWriter()
        written.write(count)
        written.write(UInt32(count == 1 ? 4_096 << 8 | 1 : 1))
        #expect(throws: KappaError.self) {
            try written.bytes.withUnsafeBytes {
                var reader = StateReader($0)
                try DistinctSketch().load(from: &reader)
            }
        }
    }
}
