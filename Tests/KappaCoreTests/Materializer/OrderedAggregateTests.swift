import KappaTesting
import Testing

@testable import KappaCore

/// Quantiles, ranked lists, whole averages and computed values over random events, against the slow
/// reference.
@Suite("Ordered aggregates equal the reference") struct OrderedAggregateTests {
    private typealias A = EventsAggregates

    private static let quantiles = EventsChoice(
        "quantiles",
        [
            .median(\.count).as("count"), .quantile(\.count, 0.9).as("count_90"),
            .quantile(\.amount, 0).as("amount_0"), .quantile(\.price, 1).as("price_1"),
            .quantile(\.weight, 0.07).as("weight_7"), .median(\.ratio).as("ratio"),
            .quantile(\.at, 0.25).as("at_25"), .median(\.note).as("note"),
            .quantile(\.user, 0.99).as("user_99"),
            .approximateQuantile(\.count, 0.5).as("about_count"),
            .approximateQuantile(\.weight, 0.9).as("about_weight"),
            .approximateQuantile(\.price, 0.99).as("about_price"),
            .quantile(\.extra, 0.3).where(\.isGood == true).as("extra"),
            .approximateQuantile(\.amount, 0.2).where(\.note == "x").as("about_amount"),
        ]
    ) {
        [
            { A.quantile($0.map(\.count), 0.5, by: <) },
            { A.quantile($0.map(\.count), 0.9, by: <) },
            { A.quantile($0.map(\.amount), 0, by: <) },
            { A.quantile($0.map(\.price), 1, by: <) },
            { A.quantile($0.map(\.weight), 0.07, by: <) },
            { A.quantile($0.map(\.ratio), 0.5, by: <) },
            { A.quantile($0.map(\.at), 0.25, by: <) },
            { A.quantile($0.map(\.note), 0.5, by: A.bytesPrecede) },
            { A.quantile($0.map(\.user), 0.99, by: A.bytesPrecede) },
            { A.bucketed($0.map { Double($0.count) }, 0.5) },
            { A.bucketed($0.map(\.weight), 0.9) },
            { A.bucketed($0.map { $0.price?.doubleValue }, 0.99) },
            { A.quantile($0.filter(\.isGood).map(\.extra), 0.3, by: <) },
            { A.bucketed($0.filter { $0.note == "x" }.map(\.amount.doubleValue), 0.2) },
        ]
    }

    private static let ranked = EventsChoice(
        "ranked",
        [
            .top(3, \.count).as("largest"), .bottom(2, \.price).as("least_prices"),
            .top(1_000, \.weight).as("weights"), .bottom(4, \.note).as("least_notes"),
            .top(3, \.note, by: \.place).as("notes"),
            .bottom(3, \.at, by: \.isGood.rank).as("good_at"),
            .top(2, \.user, by: \.price).where(\.count > 0).as("users"),
            .top(1, \.user, by: \.note).as("one_user"),
            .bottom(5, \.amount, by: \.at).where({ $0.isGood }).as("early"),
        ]
    ) {
        [
            { A.ranked($0, 3, value: \.count, key: \.count, beats: >) },
            { A.ranked($0, 2, value: \.price, key: \.price, beats: <) },
            { A.ranked($0, 1_000, value: \.weight, key: \.weight, beats: >) },
            { A.ranked($0, 4, value: \.note, key: \.note, beats: A.bytesPrecede) },
            { A.ranked($0, 3, value: \.note, key: \.place, beats: >) },
            { A.ranked($0, 3, value: \.at, key: \.isGood.rank, beats: <) },
            { A.ranked($0.filter { $0.count > 0 }, 2, value: \.user, key: \.price, beats: >) },
            { A.ranked($0, 1, value: \.user, key: \.note) { A.bytesPrecede($1, $0) } },
            { A.ranked($0.filter(\.isGood), 5, value: \.amount, key: \.at, beats: <) },
        ]
    }

    /// These can be computed from columns only.
    private static let averages = EventsChoice(
        "averages",
        [
            .average(\.count, rounding: .towardZero).as("cut"),
            .average(\.count, rounding: .down).as("down"),
            .average(\.place, rounding: .toNearestOrEven).as("even"),
            .average(\.place, rounding: .toNearestOrAwayFromZero).as("away"),
            .average(\.count, rounding: .up).where(\.note != nil).as("up"),
            .bottom(3, \.place).as("places"), .quantile(\.place, 0.5).as("place"),
        ]
    ) {
        [
            { A.wholeAverage($0.map(\.count), .towardZero) },
            { A.wholeAverage($0.map(\.count), .down) },
            { A.wholeAverage($0.map(\.place), .toNearestOrEven) },
            { A.wholeAverage($0.map(\.place), .toNearestOrAwayFromZero) },
            { A.wholeAverage($0.filter { $0.note != nil }.map(\.count), .up) },
            { A.ranked($0, 3, value: \.place, key: \.place, beats: <) },
            { A.quantile($0.map(\.place), 0.5, by: <) },
        ]
    }

    /// Every aggregate of one value that is computed, some with a condition.
    private static let computed = EventsChoice(
        "computed",
        [
            .count(of: { $0.note }).as("notes"),
            .sum(of: { $0.place * 2 }).where(\.isGood == true).as("places"),
            .average(of: { $0.count }).where({ $0.place > 0 }).as("mean"),
            .average(rounding: .awayFromZero, of: { $0.count + 1 }).as("whole"),
            .min(of: { $0.price.map { $0 + 1 } }).as("least"),
            .max(of: { $0.user + "!" }).where(\.count < 0).as("largest"),
            .first(of: { $0.note }).where(\.isGood == true).as("first"),
            .last(of: { $0.place + 1 }).as("last"),
            .countDistinct(of: { $0.count % 7 }).as("different"),
            .approximateDistinct(of: { $0.count % 7 }).as("about"),
            .variance(.population, of: { $0.place }).as("variance"),
            .standardDeviation(.sample, of: { $0.place }).as("deviation"),
            .argMin(of: { $0.user }, by: { $0.count }).as("arg_min"),
            .argMax(of: { $0.note }, by: { $0.price }).where(\.place == 0).as("arg_max"),
            .collect(limit: 2, of: { $0.user }).as("users"),
            .top(2, of: { $0.count }).as("top"), .bottom(2, of: { $0.count }).as("bottom"),
            .top(2, of: { $0.user }, by: { $0.count }).as("top_by"),
            .bottom(2, of: { $0.user }, by: { $0.ratio }).as("bottom_by"),
            .median(of: { $0.count }).as("median"),
            .quantile(0.9, of: { $0.at }).as("late"),
            .approximateQuantile(0.9, of: { $0.ratio }).where({ $0.isGood }).as("about_ratio"),
        ]
    ) {
        [
            { A.there($0.map(\.note)).count.cell },
            { $0.filter(\.isGood).map { $0.place * 2 }.reduce(0, +).cell },
            { A.average($0.filter { $0.place > 0 }.map { Double($0.count) }) },
            { A.wholeAverage($0.map { $0.count + 1 }, .awayFromZero) },
            { A.least($0.map { $0.price.map { $0 + 1 } }) },
            {
                A.quantile($0.filter { $0.count < 0 }.map { $0.user + "!" }, 1, by: A.bytesPrecede)
            },
            { ($0.first(where: \.isGood)?.note).cell },
            { ($0[$0.count - 1].place + 1).cell },
            { A.distinct($0.map { $0.count % 7 }) },
            { A.sketched($0.map { $0.count % 7 }) },
            { A.variance($0.map { Double($0.place) }, sample: false) },
            { A.deviation($0.map { Double($0.place) }, sample: true) },
            { A.arg($0, value: \.user, key: \.count, beats: <) },
            { A.arg($0.filter { $0.place == 0 }, value: \.note, key: \.price, beats: >) },
            { A.collected($0.map(\.user), limit: 2) },
            { A.ranked($0, 2, value: \.count, key: \.count, beats: >) },
            { A.ranked($0, 2, value: \.count, key: \.count, beats: <) },
            { A.ranked($0, 2, value: \.user, key: \.count, beats: >) },
            { A.ranked($0, 2, value: \.user, key: \.ratio, beats: <) },
            { A.quantile($0.map(\.count), 0.5, by: <) },
            { A.quantile($0.map(\.at), 0.9, by: <) },
            { A.bucketed($0.filter(\.isGood).map(\.ratio), 0.9) },
        ]
    }

    /// Doubles that are NaN for some events, which JSON cannot express.
    private static let noNumber: @Sendable (Reading) -> Double = {
        $0.place == 0 ? .nan : $0.weight
    }
    private static func number(_ reading: Reading) -> Double? {
        reading.place == 0 ? nil : reading.weight
    }
    private static let noNumbers = EventsChoice(
        "no numbers",
        [
            .count(of: { Optional(noNumber($0)) }).as("count"), .sum(of: noNumber).as("sum"),
            .average(of: noNumber).as("mean"), .min(of: noNumber).as("least"),
            .max(of: noNumber).as("largest"), .first(of: noNumber).as("first"),
            .last(of: noNumber).as("last"), .countDistinct(of: noNumber).as("different"),
            .variance(.population, of: noNumber).as("variance"),
            .argMin(of: { $0.user }, by: noNumber).as("arg"), .top(3, of: noNumber).as("top"),
            .median(of: noNumber).as("median"),
            .approximateQuantile(0.5, of: noNumber).as("about"),
            .sum(of: { $0.isGood ? $0.weight / 0 : -.infinity }).as("endless"),
        ]
    ) {
        [
            { A.there($0.map(number)).count.cell }, { A.there($0.map(number)).reduce(0, +).cell },
            { A.average($0.map(number)) }, { A.least($0.map(number)) },
            { A.largest($0.map(number)) }, { number($0[0]).cell },
            { number($0[$0.count - 1]).cell }, { A.distinct($0.map(number)) },
            { A.variance($0.map(number), sample: false) },
            { A.arg($0, value: \.user, key: number, beats: <) },
            { A.ranked($0, 3, value: number, key: number, beats: >) },
            { A.quantile($0.map(number), 0.5, by: <) }, { A.bucketed($0.map(number), 0.5) },
            {
                let values = $0.map { $0.isGood ? $0.weight / 0 : -.infinity }
                let sum = values.filter { !$0.isNaN }.reduce(0, +)
                // A table has no NaN; but a sum stays NaN once it is.
                return sum.isNaN ? .null : .double(sum)
            },
        ]
    }

    private static let choices = [quantiles, ranked, averages, computed, noNumbers]

    @Test("by key", arguments: Seeds.random(3))
    func byKey(seed: UInt64) throws {
        for choice in Self.choices { try choice.checkByKey(seed: seed) }
    }

    @Test("in sessions that merge, with and without lateness", arguments: Seeds.random(4))
    func sessions(seed: UInt64) throws {
        for choice in Self.choices { try choice.checkSessions(seed: seed) }
    }
}

extension Bool {
    fileprivate var rank: Int { self ? 1 : 0 }
}
