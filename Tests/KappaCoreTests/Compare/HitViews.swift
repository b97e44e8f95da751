import KappaTesting

@testable import KappaCore

/// Views of every kind, over events with a user, a time, an amount and words.
enum HitViews {
    struct Hit: Event, Codable, Equatable {
        var user: String
        var at: Timestamp
        var amount: Int
        var words: String
        static let eventType: String? = nil
    }

    struct Word: Codable, Sendable {
        var word: String
        var amount: Int
    }

    struct Tally: Codable, Equatable, Sendable {
        var hits = 0
        var last: String?
        @Hidden var sum = 0
    }

    static let hits = Events(Hit.self, at: \.at)

    static let all: [(view: any AnyView, table: String?)] = [
        (
            View("by_user", digest: "1") {
                hits.grouped(by: \.user).aggregate(.count().as("n"), .max(\.amount).as("most"))
            }, nil
        ),
        (
            View("by_window", digest: "1") {
                hits.window(.tumbling(.seconds(10)), lateness: .seconds(5)).grouped(by: \.user)
                    .aggregate(.count().as("n"), .countDistinct(\.words).as("words"))
            }, nil
        ),
        (
            View("windows", digest: "1") {
                hits.window(.tumbling(.seconds(20))).aggregate(.sum(\.amount).as("sum"))
            }, nil
        ),
        (
            View("sessions", digest: "1") {
                hits.grouped(by: \.user).window(.session(gap: .seconds(6)))
                    .aggregate(.count().as("n"), .first(\.amount).as("first"))
            }, nil
        ),
        (
            View("late_sessions", digest: "1") {
                hits.window(.session(gap: .seconds(4)), lateness: .seconds(8))
                    .grouped(by: \.user).aggregate(.count().as("n"))
            }, nil
        ),
        (
            View("hopping", digest: "1") {
                hits.window(.hopping(.seconds(12), every: .seconds(5)), lateness: .seconds(3))
                    .grouped(by: \.user).aggregate(.count().as("n"))
            }, nil
        ),
        (
            View("computed", digest: "1") {
                hits.grouped(as: "parity") { $0.amount % 2 }.aggregate(.count().as("n"))
            }, nil
        ),
        (
            View("words", digest: "1") {
                hits.flatMap { hit in
                    hit.words.split(separator: " ").map {
                        Word(word: String($0), amount: hit.amount)
                    }
                }.grouped(by: \.word).aggregate(.count().as("n"), .last(\.amount).as("last"))
            }, nil
        ),
        (
            View("fold", initially: Tally(), digest: "1") {
                On(Hit.self, key: \.user) { hit, row in
                    if hit.amount == 7 { throw Refused() }
                    row.hits += 1
                    row.sum += hit.amount
                    row.last = row.sum % 3 == 0 ? hit.words : row.last
                }
            }, nil
        ),
        (
            View("come_and_go", row: Tally.self, digest: "1") {
                On(Hit.self, key: \.user) { hit, row in
                    row = hit.amount % 3 == 0 ? nil : Tally(hits: (row?.hits ?? 0) + 1)
                }
            }, nil
        ),
        (
            View("two", digest: "1") {
                hits.grouped(by: \.user).aggregate(.count().as("n"))
                hits.filter { $0.amount > 4 }.grouped(by: \.words)
                    .aggregate(.count().as("n")).into("by_words")
            }, "by_words"
        ),
        (
            View("first_words", digest: "1") {
                hits.unique(by: \.words).grouped(by: \.user).aggregate(.count().as("n"))
            }, nil
        ),
        (
            View("best", digest: "1") {
                hits.grouped(by: \.user).top(2, by: .descending(\.amount))
            }, nil
        ),
    ]

    struct Refused: Error {}

    static func line(_ random: inout SplitMix) -> String {
        let words = (0..<random.below(3)).map { _ in random.pick(["x", "y", "é"]) }
        let time = 1_700_000_000_000 + random.below(60_000)
        if random.chance(1, in: 25) { return #"{"user":7}"# }
        return #"{"user":"\#(random.pick(["a", "b", "é"]))","at":\#(time),"#
            + #""amount":\#(random.below(10)),"words":"\#(words.joined(separator: " "))"}"#
    }
}
