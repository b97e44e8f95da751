import KappaTesting
import Testing

@testable import KappaCore

private struct Sale: Event, Encodable {
    var shop: String
    var amount: Int?
    var weight: Double
    var at: Timestamp
}

private struct ShopHour: ViewRow {
    var shop: String
    var windowStart: Timestamp
    var sales: Int
    var revenue: Int
    var smallest: Int?
    var heaviest: Double?
    var amounts: [Int]
}

private struct Renamed: ViewRow {
    enum CodingKeys: String, CodingKey {
        case shop
        case sold = "how_many"
    }
    var shop: String
    var sold: Int
}

private struct Total: ViewRow {
    var scope: String
    var shops: Int
}

private struct Unfilled: ViewRow {
    var shop: String
    var sales: Int
    var missing: Int
}

private struct OtherKey: ViewRow {
    var shop: Int
    var sales: Int
}

private struct Computed: ViewRow {
    var shop: String
    var sales: Int
    var doubled: Int { sales * 2 }
}

@Suite("Aggregations whose rows are structs") struct TypedAggregationTests {
    private static let hours = View("hours", digest: "1") {
        Events(Sale.self, at: \.at)
            .grouped(by: \.shop).window(.tumbling(.hours(1)))
            .aggregate(
                as: ShopHour.self, .count().as(\.sales), .sum(\.amount).as(\.revenue),
                .min(\.amount).as(\.smallest),
                .max { $0.weight }.where { $0.weight > 1 }.as(\.heaviest),
                .collect(\.amount, limit: 3).as(\.amounts))
    }
    private static let renamed = View("renamed", digest: "1") {
        Events(Sale.self).grouped(by: \.shop).aggregate(as: Renamed.self, .count().as(\.sold))
    }
    private static let totals = View("totals", digest: "1") {
        Events(Sale.self).grouped(by: \.shop)
            .aggregate(as: Renamed.self, .count().as(\.sold))
            .rows(as: Renamed.self)
            .aggregate(as: Total.self, .count().as(\.shops))
    }

    private static func sale(
        _ shop: String, _ amount: Int?, _ weight: Double, _ minute: Int
    ) -> Sale {
        let start = Timestamp("2024-03-01T09:00:00Z")!
        return Sale(
            shop: shop, amount: amount, weight: weight, at: start + .seconds(minute * 60))
    }

    @Test("they are read as the author's struct: all, by key, and as they were")
    func read() async throws {
        let folder = try TemporaryFolder()
        let kappa = try await Kappa.open(
            folder.path + "/data", views: ViewSet([Self.hours, Self.renamed, Self.totals]))
        try await kappa.append([
            Self.sale("a", 5, 0.5, 0), Self.sale("a", nil, 2, 59), Self.sale("b", nil, 1, 30),
            Self.sale("a", 7, 1, 60),
        ])
        try await kappa.catchUp()
        let start = try #require(Timestamp("2024-03-01T09:00:00Z"))
        let first = ShopHour(
            shop: "a", windowStart: start, sales: 2, revenue: 5, smallest: 5, heaviest: 2,
            amounts: [5])
        let empty = ShopHour(
            shop: "b", windowStart: start, sales: 1, revenue: 0, smallest: nil, heaviest: nil,
            amounts: [])
        let later = ShopHour(
            shop: "a", windowStart: start + .seconds(3600), sales: 1, revenue: 7, smallest: 7,
            heaviest: nil, amounts: [7])
        #expect(try await kappa.rows(of: Self.hours) == [first, later, empty])
        #expect(try await kappa.row(of: Self.hours, key: "b", start) == empty)
        #expect(try await kappa.row(of: Self.hours, key: "c", start) == nil)
        #expect(try await kappa.rows(of: Self.hours, at: Offset(3)) == [first, empty])
        #expect(try await kappa.row(of: Self.hours, key: "a", start, at: Offset(0)) == nil)
        #expect(
            try await kappa.rows(of: Self.renamed)
                == [Renamed(shop: "a", sold: 3), Renamed(shop: "b", sold: 1)])
        #expect(try await kappa.rows(of: Self.totals) == [Total(scope: "all", shops: 2)])
        let error = await #expect(throws: KappaError.self) {
            try await kappa.row(of: Self.hours, key: "a")
        }
        #expect(error?.what == "this is no key of hours")
        #expect(error?.reason == "its key is shop (text), window_start (timestamp)")
        await kappa.close()
    }

    @Test("the columns of a table are named after the properties, as JSON names them")
    func columns() throws {
        let definitions = try ViewSet([Self.hours, Self.renamed]).definitions()
        #expect(
            definitions[0].tables[0].columns.map(\.name) == [
                "shop", "window_start", "window_end", "sales", "revenue", "smallest", "heaviest",
                "amounts",
            ])
        #expect(definitions[1].tables[0].columns.map(\.name) == ["shop", "how_many"])
    }

    private func error(of view: some AnyView) throws -> KappaError {
        try #require(throws: KappaError.self) { try ViewSet([view]).definitions() }
    }

    @Test("a property that nothing fills, that cannot hold its column, or is computed is an error")
    func errors() throws {
        let sales = Events(Sale.self).grouped(by: \.shop)
        let unfilled = try error(
            of: View("v", digest: "1") {
                sales.aggregate(as: Unfilled.self, .count().as(\.sales))
            })
        #expect(unfilled.what == "nothing fills missing of Unfilled")
        #expect(unfilled.reason?.contains("no column missing among shop, sales") == true)
        let other = try error(
            of: View("v", digest: "1") {
                sales.aggregate(as: OtherKey.self, .count().as(\.sales))
            })
        #expect(other.what == "shop of OtherKey cannot hold its column")
        #expect(other.reason == "the property is integer, and the column text")
        let computed = try error(
            of: View("v", digest: "1") {
                sales.aggregate(
                    as: Computed.self, .count().as(\.sales), .count().as(\.doubled))
            })
        #expect(computed.what == "a column of Computed has no name")
        let twice = try error(
            of: View("v", digest: "1") {
                sales.aggregate(as: Computed.self, .count().as(\.sales), .sum(\.amount).as(\.sales))
            })
        #expect(twice.what == "table v has two columns named sales")
    }
}
