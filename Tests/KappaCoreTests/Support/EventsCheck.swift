import KappaTesting
import Testing

@testable import KappaCore

extension EventsReference {
    /// Materializes the view over random readings, in several ways, and compares everything that it holds.
    /// - Parameter change: Turns the reference's outcome into the expected one of the view.
    func check(
        _ view: any AnyView, seed: UInt64, ways: Int = 3,
        _ change: (inout EventsOutcome) -> Void = { _ in }
    ) throws {
        var random = SplitMix(state: seed)
        var maker = ReadingMaker(random)
        var lines = maker.lines(40 + random.below(160))
        let places = try EventsPlace.random(&lines, &random)
        var expected = try run(lines, places)
        change(&expected)
        for number in 0..<ways {
            var way = number == 0 ? .whole(lines.count) : EventsWay.random(lines.count, &random)
            if number == 0 { way.forbidColumns = seed % 2 == 0 }
            let found = try way.run(view, lines, places)
            #expect(found.difference(from: expected) == nil, "seed \(seed), \(way)")
        }
    }
}
