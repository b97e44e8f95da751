import KappaTesting
import Testing

@testable import KappaCore

@Suite("Rows that are final") struct FinalRowsTests {
    private let folder: VersionsFolder
    init() throws { folder = try VersionsFolder() }

    private static func view(_ digest: String, lateness: Duration? = .seconds(3)) -> View<Columns> {
        View("late", digest: digest) {
            Events(Reading.self, at: \.at)
                .grouped(by: \.user)
                .window(.session(gap: .seconds(2)), lateness: lateness)
                .aggregate(.count().as("events"))
            Events(Reading.self, at: \.at)
                .window(.hopping(.seconds(6), every: .seconds(4)), lateness: .seconds(1))
                .aggregate(.count().as("events"), .last(\.note).as("note"))
                .into("hops")
            Events(Reading.self).grouped(by: \.place).aggregate(.count().as("events")).into(
                "places")
        }
    }

    /// The final rows of a table, as a query finds them.
    private func finalRows(_ view: any AnyView, _ table: String, _ number: Int) throws -> [[Value]]
    {
        let reader = try folder.reader("late", number)
        let definition = try FinalRows.definition(
            of: reader, VersionID("late", VersionNumber(number)),
            among: ViewSet([view]).definitions())
        var query = RowQuery()
        query.table = table
        query.ended = (
            nil,
            try FinalRows(definition, table: table).until(reader.checkpoint()) ?? .min
        )
        var rows: [[Value]] = []
        try query.run(on: reader) { rows.append($0) }
        return rows
    }

    @Test(
        "a final row never changes again, and is reported once", arguments: Seeds.random(3))
    func final(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        var maker = ReadingMaker(random)
        let view = Self.view("1")
        let follower = try FinalFollower(
            "late", folder.catalog(), ViewSet([view]).definitions(), fromNow: false)
        // As bytes: canonically equivalent texts are different.
        var told: [String: Set<[UInt8]>] = [:]
        #expect(try !follower.poll { _ in })
        var before: [String: [[Value]]] = [:]
        for _ in 0..<12 {
            try folder.append(maker.lines(1 + random.below(25)))
            try folder.catchUp([view])
            _ = try follower.poll { change in
                #expect(change.operation == .insert)
                let isNew = told[change.table, default: []].insert(Array((change.after ?? "").utf8))
                    .inserted
                #expect(isNew, "seed \(seed): twice \(change)")
            }
            for table in ["late", "hops"] {
                let now = try finalRows(view, table, 1)
                for row in before[table] ?? [] { #expect(now.contains(row), "seed \(seed)") }
                before[table] = now
                let reader = try folder.reader("late", 1)
                let schema = reader.tables[try reader.table(table)]
                #expect(
                    told[table] ?? []
                        == Set(now.map { Array(Change.object($0, schema).utf8) }),
                    "seed \(seed)")
            }
        }
        #expect(told["late"]?.isEmpty == false && told["hops"]?.isEmpty == false)
        #expect(told["places"] == nil)
        // A follower that starts now gets the rows that become final from here on.
        let fresh = try FinalFollower(
            "late", folder.catalog(), ViewSet([view]).definitions(), fromNow: true)
        #expect(try !fresh.poll { _ in })
        #expect(try !fresh.poll { _ in })
    }

    @Test("a window is final once its end plus the lateness is at or before the stream time")
    func bound() throws {
        let view = Self.view("1")
        func append(_ milliseconds: Int) throws {
            try folder.append([
                #"{"event_type":"reading","user":"a","place":1,"is_good":true,"amount":1,"count":1,"#
                    + #""weight":1,"at":\#(milliseconds)}"#
            ])
            try folder.catchUp([view])
        }
        try append(0)
        try append(6_999)
        #expect(try finalRows(view, "hops", 1).map { $0[0].plainText } == ["1969-12-31T23:59:56Z"])
        // An event of another type advances the time, too.
        try folder.append([#"{"event_type":"other","at":7000}"#])
        try folder.catchUp([view])
        #expect(
            try finalRows(view, "hops", 1).map { $0[0].plainText }
                == ["1969-12-31T23:59:56Z", "1970-01-01T00:00:00Z"])
    }

    @Test("if no row is ever final, or kappa cannot tell which are, an error says why")
    func refusals() throws {
        let view = Self.view("1", lateness: nil)
        let definition = try #require(ViewSet([view]).definitions().first)
        func reason(_ table: String?) -> String {
            let error = #expect(throws: KappaError.self) { try FinalRows(definition, table: table) }
            return error?.reason ?? ""
        }
        #expect(reason(nil).contains("no lateness"))
        #expect(reason("places").contains("no windows"))
        #expect(reason("nowhere").contains("late, hops, places"))
        #expect(try FinalRows.all(definition).map(\.table) == [1])

        try folder.append([#"{"event_type":"other"}"#])
        try folder.catchUp([view])
        let reader = try folder.reader("late", 1)
        #expect(throws: KappaError.self) {
            try FinalRows.definition(
                of: reader, VersionID("late", VersionNumber(1)),
                among: ViewSet([Self.view("2")]).definitions())
        }
    }
}
