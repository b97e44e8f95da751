import KappaTesting
import Testing

@testable import KappaCore

private struct UserPlace: Decodable, Equatable, Sendable {
    var user: String
    var place: Int
    var readings: Int
    var heaviest: Double?
}

/// A row whose columns are only some of the table's, and one that it lacks.
private struct Short: Decodable, Equatable, Sendable {
    var place: Int
    var user: String
    var nickname: String?
}

private struct Strange: Decodable, Sendable {
    var user: Int
    var nickname: String
}

@Suite("Queries for rows") struct RowQueryTests {
    private static let view = View("places", digest: "1") {
        Events(Reading.self, at: \.at).grouped(by: \.user, \.place)
            .aggregate(
                .count().as("readings"), .max(\.weight).as("heaviest"), .sum(\.amount).as("amount"),
                .last(\.note).as("note"))
        Events(Reading.self, at: \.at).grouped(by: \.user)
            .window(.tumbling(.seconds(10)), lateness: .seconds(5))
            .aggregate(.count().as("readings")).into("tens")
    }

    /// A condition in SQL and the same in Swift.
    private struct Choice {
        var sql: String?
        var parameters: [Value] = []
        var holds: (Columns) -> Bool
    }

    private static func choice(_ random: inout SplitMix) -> Choice {
        let number = Int64(random.below(6))
        switch random.below(5) {
        case 0: return Choice { _ in true }
        case 1:
            return Choice(sql: "readings > ?", parameters: [.integer(number)]) { row in
                if case .integer(let readings)? = row["readings"] {
                    readings > number
                } else {
                    false
                }
            }
        case 2:
            return Choice(sql: "place = \(number - 1) OR note IS NULL") { row in
                row["place"] == .integer(number - 1) || row["note"] == .null
            }
        case 3:
            // A parameter is a value, whatever it holds.
            let hostile = random.pick(["ada", "' OR 1=1 --", "e\u{301}", "z\u{0}", ""])
            return Choice(sql: "user = ? AND place < ?", parameters: [.text(hostile), .integer(1)])
            {
                row in
                guard case .integer(let place)? = row["place"] else { return false }
                return row["user"] == .text(hostile) && place < 1
            }
        default:
            return Choice(sql: "amount >= ?", parameters: [.text("1.5")]) { row in
                if case .decimal(let amount)? = row["amount"] { amount >= 1.5 } else { false }
            }
        }
    }

    @Test(
        "pages, keys and conditions find what a scan of all rows does", arguments: Seeds.random(6))
    func reference(seed: UInt64) async throws {
        var random = SplitMix(state: seed)
        let folder = try TemporaryFolder()
        let kappa = try await Kappa.open(folder.path + "/data", views: ViewSet([Self.view]))
        var maker = ReadingMaker(random)
        let lines = maker.lines(30 + random.below(150))
        try await kappa.append(ndjson: lines.joined(separator: "\n"))
        try await kappa.catchUp()
        let all = try await kappa.rows(of: Self.view)
        for _ in 0..<12 {
            let choice = Self.choice(&random)
            let expected = all.filter(choice.holds)
            let offset = random.chance(1, in: 4) ? Offset(UInt64(lines.count)) : nil
            var query = RowQuery(
                where: choice.sql, parameters: choice.parameters, limit: 1 + random.below(7))
            var found: [Columns] = []
            repeat {
                let page = try await kappa.query(Self.view, query, at: offset)
                #expect(page.position == Offset(UInt64(lines.count)), "seed \(seed), KAPPA_SEED")
                #expect(page.rows.count <= query.limit ?? 0)
                // The last page is not empty, unless there are no rows at all.
                #expect(!page.rows.isEmpty || found.isEmpty, "seed \(seed), KAPPA_SEED")
                found += page.rows
                query.after = page.next
            } while query.after != nil
            #expect(found == expected, "seed \(seed), KAPPA_SEED")

            query = RowQuery(
                where: choice.sql, parameters: choice.parameters,
                order: ["readings desc", "place"],
                limit: 4)
            let best = try await kappa.query(Self.view, query)
            #expect(best.next == nil)
            let readings = expected.compactMap { $0["readings"] }
            let most = readings.sorted { Value.order($0, $1) > 0 }.prefix(4)
            #expect(
                best.rows.compactMap { $0["readings"] } == Array(most), "seed \(seed), KAPPA_SEED")

            guard let row = random.chance(1, in: 2) ? all.randomElement(using: &random) : nil,
                case .text(let user)? = row["user"], case .integer(let place)? = row["place"]
            else { continue }
            let one = try await kappa.query(Self.view, RowQuery(key: RowKey(user, place)))
            #expect(one.rows == [row], "seed \(seed), KAPPA_SEED")
            let same = RowQuery(key: RowKey(json: RowKey(user, place).json))
            let typed = try await kappa.query(Self.view, as: UserPlace.self, same)
            #expect(typed.rows.map(\.user.utf8.count) == [user.utf8.count])
            let short = try await kappa.query(Self.view, as: Short.self, same).rows
            #expect(short.map(\.place) == [Int(place)] && short[0].nickname == nil)
        }
        await kappa.close()
    }

    @Test("final rows only, of another table; before a version is live there are none")
    func final() async throws {
        let folder = try TemporaryFolder()
        let kappa = try await Kappa.open(folder.path + "/data", views: ViewSet([Self.view]))
        let none = try await kappa.query(Self.view)
        #expect(none.rows.isEmpty && none.version == nil && none.next == nil)
        func reading(_ second: Int) -> String {
            #"{"event_type":"reading","user":"ada","place":1,"is_good":true,"amount":1,"count":1,"#
                + #""weight":1,"at":"2024-03-01T09:00:\#(second)Z"}"#
        }
        try await kappa.append(ndjson: [10, 20, 31].map(reading).joined(separator: "\n"))
        try await kappa.catchUp()
        let all = try await kappa.query(Self.view, RowQuery(table: "tens"))
        let final = try await kappa.query(Self.view, RowQuery(table: "tens"), finalOnly: true)
        #expect(all.rows.count == 3 && final.rows == Array(all.rows.prefix(1)))
        #expect(all.version == VersionID("places", VersionNumber(1)))
        await kappa.close()
    }

    @Test("a query that cannot be run says why")
    func errors() async throws {
        let folder = try TemporaryFolder()
        let kappa = try await Kappa.open(folder.path + "/data", views: ViewSet([Self.view]))
        try await kappa.append(ndjson: #"{"event_type":"other"}"#)
        try await kappa.catchUp()
        func reason(_ query: RowQuery) async -> String? {
            await #expect(throws: KappaError.self) { try await kappa.query(Self.view, query) }?
                .reason
        }
        #expect(
            await reason(RowQuery(order: ["place"], after: RowKey("a", 1)))
                == "pages follow each other in the order of the key")
        #expect(await reason(RowQuery(limit: -1)) == "a limit is 0 or more")
        #expect(
            await reason(RowQuery(parameters: [.integer(1)]))
                == "they are the values of its ?")
        #expect(
            await reason(RowQuery(where: "place = ?"))?
                .hasPrefix("it has 1 parameter, and 0 values are given") == true)
        #expect(
            await reason(RowQuery(key: RowKey("a")))
                == "its key is user (text), place (integer)")
        #expect(
            await reason(RowQuery(after: RowKey(1, "a")))
                == "its key is user (text), place (integer)")
        #expect(
            await reason(RowQuery(key: RowKey(json: "[\"a\"")))
                == "its key is user (text), place (integer)")
        #expect(await reason(RowQuery(table: "nothing")) != nil)
        let strange = await #expect(throws: KappaError.self) {
            try await kappa.query(Self.view, as: Strange.self)
        }
        #expect(strange?.code == .usage)
        #expect(
            strange?.reason
                == "its column user is text, not integer; it has no column nickname (text)")
        await kappa.close()
    }
}
