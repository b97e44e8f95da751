import KappaTesting
import Testing

@testable import KappaCore

@Suite("The sizes of a version's state tables") struct VersionSizesTests {
    typealias Sale = StreamsMarket.Sale
    typealias Offer = StreamsMarket.Offer
    private let folder: VersionsFolder
    init() throws { folder = try VersionsFolder() }

    struct Pair: ViewRow { var item: Int }
    struct Sum: ViewRow {
        var item: Int
        var sales: Int
    }

    private static let view = View("held", digest: "1") {
        Events(Sale.self, at: \.at).unique(by: \.user)
            .join(Events(Offer.self, at: \.at), on: \.item, equals: \.item) { sale, _ in
                Pair(item: sale.item)
            }
            .rows()
        Events(Sale.self, at: \.at)
            .grouped(by: \.item)
            .window(.sliding(.seconds(10)))
            .aggregate(.count().as("sales"))
            .into("sliding")
        Events(Sale.self)
            .grouped(by: \.item)
            .aggregate(.count().as("sales"))
            .rows(as: Sum.self)
            .grouped(as: "all") { _ in 1 }
            .aggregate(.max(\.sales).as("most"))
            .into("most")
    }

    @Test("each of a view's hidden tables is named and counted")
    func held() throws {
        try folder.append(MarketMaker.lines(200, seed: 7))
        try folder.catchUp([Self.view])
        let status = try #require(try VersionStatus.all(folder.catalog(), view: "held").first)
        let held = status.sizes.held
        #expect(
            held.map(\.what) == [.seenKeys, .joinSide, .joinSide, .slidingElements, .firstStep])
        let reader = try folder.reader("held", 1)
        let counts = try reader.allTables.filter(\.isInternal).map { table in
            Int(try reader.connection.integer("SELECT count(*) FROM \(table.name)") ?? -1)
        }
        #expect(held.map(\.rows) == counts)
        #expect(counts.allSatisfy { $0 > 0 })
        #expect(status.stateRows == counts.reduce(0, +))
        #expect(status.stateBytes.map { $0 >= 5 * 4_096 && $0 < status.bytes } ?? true)
        let visible = try reader.tables.indices.reduce(0) { try $0 + reader.rowCount(table: $1) }
        #expect(status.rows == visible)
    }

    @Test("a large table is estimated from its pages, and counted by rows without dbstat")
    func large() throws {
        try folder.append(
            (0..<30_000).map {
                #"{"event_type":"sale","user":"u\#($0)","item":\#($0),"#
                    + #""is_good":true,"day":0,"price":1,"weight":1,"at":\#($0)}"#
            })
        try folder.catchUp([Self.view])
        let sizes = try VersionSizes(folder.reader("held", 1))
        #expect(sizes.held.map(\.rows) == [30_000, 30_000, 0, 30_000, 30_000])
    }

    @Test("a table is counted again once something has changed and some time has passed")
    func cache() throws {
        var now = ContinuousClock.now
        let cache = VersionSizesCache { now }
        let id = VersionID("held", VersionNumber(1))
        var counted = 0
        func ask(_ offset: Offset, took: Duration = .milliseconds(100)) throws -> Int {
            try cache.sizes(of: id, at: offset) {
                counted += 1
                now += took
                var sizes = VersionSizes()
                sizes.rows = counted
                return sizes
            }.rows
        }
        #expect(try ask(Offset(1)) == 1)
        now += .seconds(60)
        #expect(try ask(Offset(1)) == 1)
        #expect(try ask(Offset(2)) == 2)
        now += .milliseconds(1_800)
        #expect(try ask(Offset(3)) == 2)
        now += .milliseconds(200)
        #expect(try ask(Offset(3)) == 3)
    }
}
