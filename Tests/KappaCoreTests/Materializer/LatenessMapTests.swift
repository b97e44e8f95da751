import KappaTesting
import Testing

@testable import KappaCore

/// Elements with a flag that says whether they are late, compared with a model that checks one event after
/// another.
@Suite("Elements marked as late") struct LatenessMapTests {
    typealias Sale = StreamsMarket.Sale

    struct Judged: ViewRow {
        var item: Int
        var isLate: Bool
    }

    private static let second: Int64 = 1_000_000

    private struct Model: StreamsModel {
        var clock = SlowTime()
        var rows: [[Value]] = []
        let lateness: Int64?
        /// Nil if each sale makes one element.
        var copies: ((Sale) -> Int)?

        mutating func pass(_ time: SlowTime) { clock = time }

        mutating func take(_ event: JSONValue, offset: Int64) throws -> Int {
            let sales = try StreamsMarket.sales(event)
            for (sale, time) in sales {
                if sale.note == "X" { throw StreamsMarket.Refusal("X") }
                let end = (time - ((time % (5 * second)) + 5 * second) % (5 * second)) + 5 * second
                let isLate = lateness.map { end + $0 <= clock.own } ?? false
                let cells = [Value.integer(Int64(sale.item)), .bool(isLate)]
                guard let copies else {
                    rows.append([.integer(offset)] + cells)
                    continue
                }
                let parts = (0..<copies(sale)).map { Value.integer(Int64($0)) }
                rows += parts.map { [.integer(offset), $0] + cells }
                return parts.count
            }
            return sales.count
        }
    }

    @Test(
        "an element is late once its window has closed, however the log is cut",
        arguments: Seeds.random(10))
    func judged(seed: UInt64) throws {
        let lateness: Duration? = seed % 3 == 0 ? nil : .seconds(2)
        let view = View("judged") {
            Events(Sale.self, at: \.at)
                .map(inWindows: .seconds(5), lateness: lateness) { sale, isLate in
                    if sale.note == "X" { throw StreamsMarket.Refusal("X") }
                    return Judged(item: sale.item, isLate: isLate)
                }
                .rows()
        }
        let model = Model(lateness: lateness == nil ? nil : 2 * Self.second)
        try StreamsReference.check(view, model, seed: seed)
    }

    @Test("the same holds for any number of elements of one event", arguments: Seeds.random(6))
    func several(seed: UInt64) throws {
        let view = View("several") {
            Events(Sale.self, at: \.at)
                .flatMap(inWindows: .seconds(5), lateness: .seconds(2)) { sale, isLate in
                    if sale.note == "X" { throw StreamsMarket.Refusal("X") }
                    let judged = Judged(item: sale.item, isLate: isLate)
                    return Array(repeating: judged, count: sale.item + 1)
                }
                .rows()
        }
        let model = Model(lateness: 2 * Self.second) { $0.item + 1 }
        try StreamsReference.check(view, model, seed: seed)
    }

    @Test("elements without a time cannot be marked")
    func timeless() {
        let view = View("judged") {
            Events(Sale.self).map(inWindows: .seconds(5), lateness: nil) { sale, isLate in
                Judged(item: sale.item, isLate: isLate)
            }.rows()
        }
        let error = #expect(throws: KappaError.self) { try Scenario(view).given().rows() }
        #expect(error?.what.contains("they have no time") == true)
    }
}
