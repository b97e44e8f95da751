import KappaTesting
import Testing

@testable import KappaCore

/// Sessions of one key in any order: the index finds the same as a walk along the chain.
@Suite("Chains of sessions") struct SessionChainsTests {
    struct Hit: Event {
        var user: Int
        var at: Timestamp
    }

    private func chains(gap: Int64, lateness: Int64?, mostSteps: Int) throws -> SessionChains {
        let step = try Events(Hit.self, at: \.at).window(.session(gap: .microseconds(gap)))
            .grouped(by: \.user).aggregate(.count().as("hits")).define(view: "v")
        guard case .aggregation(let definition) = step.kind else {
            throw KappaError(.bug, "an aggregation is none")
        }
        return SessionChains(
            keyIsText: [false],
            rows: GroupRows(definition.layout, at: Sessions.stateOffset), gap: gap,
            lateness: lateness, mostSteps: mostSteps)
    }

    /// The sessions of a chain, the newest first.
    private func sessions(_ chains: SessionChains, of key: UInt32) -> [[Int64]] {
        var found: [[Int64]] = []
        var current = chains.newest(of: key)
        while let id = current {
            found.append([chains.sessions.start(id), chains.sessions.last(id)])
            current = chains.sessions.older(id)
        }
        return found
    }

    @Test("an index finds the same sessions as a walk", arguments: 0..<20)
    func indexed(round: Int) throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        let gap = Int64(1 + random.next() % 20)
        let span = Int64([300, 20_000, 100_000][round % 3])
        let lateness: Int64? = round % 2 == 0 ? nil : Int64(random.next() % UInt64(span))
        let walked = try chains(gap: gap, lateness: lateness, mostSteps: .max)
        let indexed = try chains(
            gap: gap, lateness: lateness, mostSteps: Int(random.next() % 4))
        var streamTime = Int64.min / 4
        var passed = streamTime
        for _ in 0..<3_000 {
            let time = Int64(random.next() % UInt64(span))
            streamTime = max(streamTime, time)
            if round % 4 < 2 || time % 7 == 0 { passed = streamTime }
            var taken: [[Int64]?] = []
            for chains in [walked, indexed] {
                let key = key(7, in: chains)
                let id = try chains.session(
                    for: time, of: key, streamTime: streamTime, passed: passed
                ) {}
                taken.append(id.map { [chains.sessions.start($0), chains.sessions.last($0)] })
            }
            try #require(taken[0] == taken[1], "seed \(seed)")
        }
        let found = sessions(indexed, of: key(7, in: indexed))
        #expect(sessions(walked, of: key(7, in: walked)) == found, "seed \(seed)")
        #expect(found.count > (span > 300 ? 2 : 0), "seed \(seed)")
        if lateness == nil { #expect(found == found.sorted { $0[1] > $1[1] }, "seed \(seed)") }
    }

    private func key(_ user: Int64, in chains: SessionChains) -> UInt32 {
        withUnsafePointer(to: user) { user in
            chains.keys.find(keys: [.integers(UnsafePointer(user))]).id
        }
    }

    @Test("numbers in pieces are in the same order as in one array", arguments: 0..<5)
    func numbers(round: Int) {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        var reference: [UInt32] = []
        var ordered = OrderedNumbers()
        for step in 0..<6_000 {
            // First they grow, then they shrink.
            let grows = random.next() % 10 < (step < 4_000 ? 8 : 2)
            let number = UInt32(random.next() % 1_000_000)
            let place = ordered.place { $0 < number }
            let index = reference.firstIndex { $0 >= number } ?? reference.count
            #expect(ordered.number(at: place) == (index < reference.count ? reference[index] : nil))
            #expect(ordered.number(before: place) == (index > 0 ? reference[index - 1] : nil))
            if grows {
                ordered.insert(number, at: place)
                reference.insert(number, at: index)
            } else if index < reference.count {
                ordered.remove(at: place)
                reference.remove(at: index)
            }
        }
        for number in reference {
            #expect(ordered.number(at: ordered.place { $0 < number }) == number, "seed \(seed)")
        }
        let again = OrderedNumbers(reference)
        for number in reference {
            #expect(again.number(at: again.place { $0 < number }) == number, "seed \(seed)")
        }
    }
}
