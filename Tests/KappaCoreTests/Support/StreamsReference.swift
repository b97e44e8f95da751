import KappaTesting
import Testing

@testable import KappaCore

/// The state of a slow, obvious reference of a view after some events. It is a value, so that an event that
/// cannot be taken leaves it unchanged.
protocol StreamsModel {
    /// Notes the stream time at an event of the log, whatever its outcome.
    mutating func pass(_ time: SlowTime)
    /// The rows of the view's table, in key order.
    var rows: [[Value]] { get }
    /// Whether an element of the last event came too late for a later step.
    var hasLate: Bool { get }
    /// Takes one event; returns how many elements it made.
    mutating func take(_ event: JSONValue, offset: Int64) throws -> Int
}

extension StreamsModel {
    mutating func pass(_ time: SlowTime) {}
    var hasLate: Bool { false }
}

/// An event that comes after its window has closed.
struct StreamsLate: Error {}

enum StreamsReference {
    /// Takes one event after another.
    static func run(
        _ lines: [String], _ places: [EventsPlace] = [], _ model: inout some StreamsModel
    ) throws -> EventsOutcome {
        var outcome = EventsOutcome(tables: [], counters: Counters(), dead: [])
        var clocks = SlowClocks()
        for (offset, line) in lines.enumerated() {
            if !places.isEmpty, !clocks.turn(to: places[offset]) {
                outcome.counters.filtered += 1
                continue
            }
            let event = try JSONValue(parsing: line)
            if let at = event["at"], let time = try? ValueDecoder(at).decode(Timestamp.self) {
                clocks.meet(time.microseconds)
            }
            model.pass(clocks.time)
            var next = model
            do {
                let count = try next.take(event, offset: Int64(offset))
                if next.hasLate {
                    outcome.counters.late += 1
                } else if count > 0 {
                    outcome.counters.applied += 1
                } else {
                    outcome.counters.filtered += 1
                }
                model = next
            } catch is StreamsLate {
                outcome.counters.late += 1
            } catch {
                outcome.counters.dead += 1
                outcome.dead.append(
                    DeadLetter(
                        offset: Offset(UInt64(offset)), reason: FieldFailure.reason(error),
                        event: line))
            }
        }
        outcome.tables = [model.rows]
        return outcome
    }

    /// Compares a view with a model, brought forward at once and in random ways.
    static func check(
        _ view: any AnyView, _ model: some StreamsModel, seed: UInt64, events: Int = 100,
        ways: Int = 3
    ) throws {
        var random = SplitMix(state: seed)
        var lines = MarketMaker.lines(20 + random.below(events), seed: seed)
        let places = try EventsPlace.random(&lines, &random)
        var model = model
        let expected = try run(lines, places, &model)
        for number in 0..<ways {
            let way = number == 0 ? .whole(lines.count) : EventsWay.random(lines.count, &random)
            let found = try way.run(view, lines, places)
            #expect(
                found.difference(from: expected) == nil,
                "seed \(seed), KAPPA_SEED, \(view.name), \(way)")
        }
    }
}

/// A join by nested loops. Nothing is ever dropped.
struct JoinModel<Left, Right> {
    private(set) var lefts: [(Left, Int64)] = []
    private(set) var rights: [(Right, Int64)] = []
    private var clock = SlowTime()
    let bound: Bound
    let areEqual: (Left, Right) -> Bool

    /// In microseconds.
    enum Bound {
        case none
        case within(Int64, lateness: Int64?)
        case sameWindow(Int64, lateness: Int64?)
    }

    init(_ bound: Bound = .none, where areEqual: @escaping (Left, Right) -> Bool) {
        self.bound = bound
        self.areEqual = areEqual
    }

    mutating func pass(_ time: SlowTime) { clock = time }

    mutating func take(
        _ newLefts: [(Left, Int64)], _ newRights: [(Right, Int64)],
        _ body: (Left, Right, Int64) throws -> Void
    ) throws {
        for (left, time) in newLefts {
            if isPast(time, clock.own) { throw StreamsLate() }
            for (right, other) in rights where areEqual(left, right) && canMeet(time, other) {
                try body(left, right, max(time, other))
            }
            lefts.append((left, time))
        }
        for (right, time) in newRights {
            if isPast(time, clock.own) { throw StreamsLate() }
            for (left, other) in lefts where areEqual(left, right) && canMeet(time, other) {
                try body(left, right, max(time, other))
            }
            rights.append((right, time))
        }
    }

    private func canMeet(_ time: Int64, _ other: Int64) -> Bool {
        if isPast(other, clock.passed) { return false }
        return switch bound {
        case .none: true
        case .within(let span, _): abs(time - other) <= span
        case .sameWindow(let size, _): start(time, size) == start(other, size)
        }
    }

    private func isPast(_ time: Int64, _ clock: Int64) -> Bool {
        switch bound {
        case .within(let span, let lateness?): time + span + lateness <= clock
        case .sameWindow(let size, let lateness?): start(time, size) + size + lateness <= clock
        case .none, .within, .sameWindow: false
        }
    }

    private func start(_ time: Int64, _ size: Int64) -> Int64 {
        Int64((Double(time) / Double(size)).rounded(.down)) * size
    }
}
