import KappaTesting
import Testing

@testable import KappaCore

/// Compares names found by the search with those found by looking at each.
@Suite("Finding names") struct NameIndexTests {
    /// Names that are often equal, and some that look alike but are not equal.
    private func names(_ count: Int, _ random: inout SplitMix) -> [String] {
        let accents = ["e\u{301}", "\u{e9}", ""]
        return (0..<count).map { _ in
            "n\(random.next() % UInt64(1 + count))" + accents[Int(random.next() % 3)]
        }
    }

    @Test("the last place of a name is found, among few and among many", arguments: 0..<20)
    func last(round: Int) {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        let names = names(round * 7, &random)
        let index = NameIndex(names)
        for name in names + self.names(20, &random) {
            let end = Int(random.next() % UInt64(names.count + 1))
            let all = names.indices.filter { names[$0].hasSameBytes(as: name) }
            #expect(index.last(name) == all.last, "seed \(seed)")
            #expect(index.last(name, before: end) == all.last { $0 < end }, "seed \(seed)")
        }
    }

    @Test("members are found in whatever order they are asked for", arguments: 0..<20)
    func members(round: Int) {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        var members: [(key: String, value: JSONValue)] = []
        for name in names(round * 5, &random)
        where !members.contains(where: { $0.key.hasSameBytes(as: name) }) {
            members.append((name, .integer(Int64(members.count))))
        }
        var asked = members.map(\.key)
        if round % 2 == 0 { asked.shuffle(using: &random) }
        asked.insert("unknown", at: asked.count / 2)
        let found = JSONValue.members(asked, of: members)
        for (name, value) in zip(asked, found) {
            let expected = members.first { $0.key.hasSameBytes(as: name) }?.value
            #expect(value?.json == expected?.json, "seed \(seed)")
        }
    }
}
