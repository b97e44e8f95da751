import KappaTesting
import Testing

@testable import KappaCore

/// Elements that are made property by property, compared with a model that makes one struct after another.
@Suite("Elements made property by property") struct PropertyMapTests {
    typealias Sale = StreamsMarket.Sale

    struct Priced: ViewRow {
        var user: String
        var good: Bool
        var price: ExactDecimal
        var half: Double
        var note: String?
        var loud: String
        var ratio: Double?
        var late: Timestamp
    }

    private static func half(_ weight: Double) throws -> Double {
        if weight < 0 { throw StreamsMarket.Refusal("a weight below zero") }
        return weight == 0 ? .nan : weight / 2
    }
    private static func loud(_ note: String?) throws -> String {
        if note == "x" { throw StreamsMarket.Refusal("x") }
        return note.map { $0 + "!" } ?? "quiet"
    }
    private static func later(_ time: Timestamp) -> Timestamp { time + .seconds(1) }

    private static func priced(_ sale: Sale) throws -> Priced {
        // The first property that cannot be computed, in the order of the new struct, gives the reason.
        let half = try half(sale.weight)
        return Priced(
            user: sale.user, good: sale.isGood, price: sale.price, half: half, note: sale.note,
            loud: try loud(sale.note), ratio: sale.ratio, late: later(sale.at))
    }

    private static func mapped(
        _ sales: some EventStream<Sale>
    ) -> MappedStream<Priced> {
        sales.map(
            as: Priced.self, .set(\.loud, from: \.note, loud), .set(\.good, from: \.isGood),
            .set(\.half, from: \.weight, half), .set(\.late, from: \.at, later))
    }

    private struct Model: StreamsModel {
        var rows: [[Value]] = []
        /// Which of the new elements count.
        var isIncluded: (Priced) -> Bool = { _ in true }

        mutating func take(_ event: JSONValue, offset: Int64) throws -> Int {
            let elements = try StreamsMarket.sales(event).map { try priced($0.0) }
                .filter(isIncluded)
            rows += try elements.map { element in
                try [.integer(offset)] + RowCodec<Priced>().values(element)
            }
            return elements.count
        }
    }

    @Test("are those that a closure makes", arguments: Seeds.random(8))
    func rows(seed: UInt64) throws {
        let view = View("priced") { Self.mapped(Events(Sale.self)).rows() }
        try StreamsReference.check(view, Model(), seed: seed)
    }

    @Test("can be used where structs are required, too", arguments: Seeds.random(8))
    func structs(seed: UInt64) throws {
        let included: @Sendable (Priced) -> Bool = { !$0.half.isNaN && $0.loud != "X!" }
        let view = View("priced") {
            Self.mapped(Events(Sale.self).filter { _ in true }).filter(included).rows()
        }
        try StreamsReference.check(view, Model(isIncluded: included), seed: seed)
        let made = View("priced") {
            Self.mapped(Events(Sale.self).map { $0 }).filter(included).map { $0 }.rows()
        }
        try StreamsReference.check(made, Model(isIncluded: included), seed: seed)
    }

    struct Bare: ViewRow {
        var user: String
        var weight: Int
    }
    struct Strict: ViewRow { var note: String }
    struct Odd: ViewRow { var notes: [String] }

    @Test("a property without a source is reported when the view is defined")
    func problems() throws {
        let sales = Events(Sale.self)
        for (step, what) in [
            (sales.map(as: Bare.self).rows(), "nothing provides weight"),
            // It may be missing.
            (sales.map(as: Strict.self).rows(), "nothing provides note"),
            (sales.map(as: Odd.self).rows(), "by properties"),
        ] {
            let error = try #require(throws: KappaError.self) { try step.define(view: "v") }
            #expect(error.code == .usage && error.what.contains(what), "\(error.what)")
            #expect(error.advice?.contains("closure") == true)
        }
        _ = try sales.map(as: Bare.self, .set(\.weight, from: \.weight) { Int($0) }).rows()
            .define(view: "v")
    }
}
