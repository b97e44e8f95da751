import KappaTesting
import Testing

@testable import KappaCore

/// Key paths of computed properties: Swift prints them with a memory address, which differs from process to
/// process. No message, column or digest may contain it.
@Suite("Computed properties as key paths") struct ComputedPropertyTests {
    struct Trip: Event, ViewRow {
        var rider: String
        var meters: Int
        var at: Timestamp
        var from: Place

        var size: String { meters < 1_000 ? "short" : "long" }
        var kilometers: Int { meters / 1_000 }
        var start: Timestamp { at }
        var price: ExactDecimal { ExactDecimal(meters) }
        var isLong: Bool { meters >= 1_000 }

        struct Place: Codable, Equatable, Sendable {
            var city: String
            var area: String { String(city.prefix(1)) }
        }
    }
    struct Tally: ViewRow {
        var count = 0
    }
    struct Sizes: ViewRow {
        var size: String
        var n: Int
        var band: Int { n / 10 }
    }
    struct Short: ViewRow {
        var name: String
        var label: String {
            get { name }
            set { name = newValue }
        }
    }

    private static let trips = Events(Trip.self, at: \.at)

    /// Each use of a key path that makes a column's name, with a computed property.
    private static let nameless: [(String, @Sendable () -> any ViewStep)] = [
        ("a group", { trips.grouped(by: \.size).aggregate(.count().as("n")) }),
        ("a second part", { trips.grouped(by: \.rider, \.size).aggregate(.count().as("n")) }),
        ("a nested one", { trips.grouped(by: \.from.area).aggregate(.count().as("n")) }),
        (
            "a group of windows",
            {
                trips.window(.tumbling(.seconds(60))).grouped(by: \.size)
                    .aggregate(.count().as("n"))
            }
        ),
        (
            "a group's windows",
            {
                trips.grouped(by: \.size).window(.session(gap: .seconds(60)))
                    .aggregate(.count().as("n"))
            }
        ),
        ("a ranking", { trips.grouped(by: \.size).top(1, by: .descending(\.meters)) }),
        (
            "a second step",
            {
                trips.grouped(as: "size", by: \.size).aggregate(.count().as("n"))
                    .rows(as: Sizes.self).grouped(by: \.band).aggregate(.count().as("bands"))
            }
        ),
        (
            "a second step's ranking",
            {
                trips.grouped(as: "size", by: \.size).aggregate(.count().as("n"))
                    .rows(as: Sizes.self).grouped(by: \.band).top(1, by: .descending(\.n))
            }
        ),
        (
            "a fold",
            { fold(as: nil).steps[0] }
        ),
    ]

    private static func fold(as name: String?) -> View<Tally> {
        View("v", row: Tally.self) {
            On(Trip.self, key: \.size, as: name) { _, row in
                row = Tally(count: (row?.count ?? 0) + 1)
            }
        }
    }

    private static func hasAddress(_ text: String) -> Bool {
        text.contains("0x") || text.contains("<computed")
    }

    @Test("if a computed property would name a column, an explicit name is required")
    func namesAreAskedFor() throws {
        for (what, step) in Self.nameless {
            let view = View("v") { BoxedStep(step()) }
            let error = try #require(throws: KappaError.self, "\(what)") {
                try ViewSet([view]).definitions(allowUndigested: true)
            }
            #expect(error.code == .usage, "\(what)")
            #expect(error.what.contains("has no name"), "\(what): \(error)")
            #expect(error.advice?.contains("as: \"name\"") == true, "\(what): \(error)")
            #expect(!Self.hasAddress("\(error)"), "\(what): \(error)")
        }
    }

    @Test("the input of the digests has no address of computed properties")
    func digests() throws {
        let trips = Self.trips
        let steps: [any ViewStep] = [
            trips.grouped(as: "size", by: \.size).aggregate(
                .sum(\.kilometers).as("km"), .sum(\.price).as("price"),
                .max(\.kilometers).as("most"), .countDistinct(\.size).as("sizes")),
            trips.grouped(by: \.rider).top(2, by: .descending(\.kilometers), .ascending(\.size)),
            trips.unique(by: \.size).grouped(by: \.rider).aggregate(.count().as("n")),
            trips.unique(by: \.from.area).rows(),
            Events(Trip.self, at: \.start).window(.tumbling(.seconds(60)))
                .aggregate(.count().as("n")),
            trips.join(trips, on: \.size, equals: \.size) { Sizes(size: $0.size, n: $1.meters) }
                .rows(),
            trips.filter(\.isLong == true).rows(),
            trips.grouped(as: "size", by: \.size).aggregate(.count().as("n"))
                .rows(as: Sizes.self).grouped(by: \.size).top(1, by: .descending(\.band)),
            Self.fold(as: "size").steps[0],
        ]
        for step in steps {
            let signature = try step.define(view: "v").signature
            #expect(!Self.hasAddress(signature), "\(signature)")
        }
    }

    @Test("mapping by properties has no address either")
    func maps() throws {
        let map = Self.trips.map(as: Short.self, .set(\.label, from: \.rider))
        let error = try #require(throws: KappaError.self) { try map.rows().define(view: "v") }
        #expect(!Self.hasAddress("\(error)"), "\(error)")
        #expect(error.what.contains("a computed property"), "\(error)")
    }

    @Test("a fold takes a computed key with an explicit name")
    func foldKey() throws {
        try Scenario(Self.fold(as: "size"))
            .given([10, 2_000, 20].map { Self.trip("ann", $0) })
            .expect("size,count", "long,1", "short,2")
    }

    private static func trip(_ rider: String, _ meters: Int) -> Trip {
        Trip(
            rider: rider, meters: meters, at: Timestamp(microseconds: 1_700_000_000_000_000),
            from: .init(city: "Bonn"))
    }
}
