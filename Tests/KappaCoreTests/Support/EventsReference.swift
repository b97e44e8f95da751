@testable import KappaCore

/// A slow and obvious aggregation: it keeps every element of every group and aggregates them at the end.
struct EventsReference<Element> {
    enum Cut {
        case none
        case tumbling(Int64)
        /// Size, step, offset.
        case hopping(Int64, Int64, Int64)
        case session(Int64)
        case sliding(Int64)
    }

    /// The elements of an event; throws if the view cannot take it, nil if the view ignores it.
    var elements: (JSONValue) throws -> [(Element, Timestamp)]?
    var keys: [(Element) throws -> Value] = []
    var cut = Cut.none
    var lateness: Int64?
    /// How long rows stay after the end of their window; at least the lateness.
    var keep: Int64?
    /// Whether late events become dead letters.
    var lateAreDead = false
    /// The time of any event that advances the stream time, whether or not the view takes it.
    var clock: (JSONValue) -> Timestamp? = { _ in nil }
    var windowFirst = true
    /// Functions of the elements of a group in log order.
    var aggregates: [([Element]) -> Value]

    private struct Group {
        var key: [Value]
        var start: Int64
        var last: Int64
        var elements: [(place: Int, element: Element)]
    }
    /// A single element, for windows that come later.
    private struct Single {
        var key: [Value]
        var time: Int64
        var element: (place: Int, element: Element)
    }

    private struct Late: Error, CustomStringConvertible {
        var time: Timestamp
        var streamTime: Timestamp
        var description: String {
            "late: its time is \(time), and its windows have closed: the stream time is "
                + "\(streamTime)"
        }
    }

    private enum Fate: Int {
        case filtered, applied, late, dead
    }

    /// The rows of the table in key order, and the outcome of the events.
    func run(_ lines: [String], _ places: [EventsPlace] = []) throws -> EventsOutcome {
        var groups: [Group] = []
        var singles: [Single] = []
        var clocks = SlowClocks()
        var outcome = EventsOutcome(tables: [], counters: Counters(), dead: [])
        var place = 0
        for (offset, line) in lines.enumerated() {
            var fate = Fate.filtered
            if !places.isEmpty, !clocks.turn(to: places[offset]) {
                outcome.counters.filtered += 1
                continue
            }
            let event = try JSONValue(parsing: line)
            if let time = clock(event) { clocks.meet(time.microseconds) }
            do {
                let taken = try elements(event) ?? []
                let keyed = try taken.map { element, time in
                    (element, time, try keys.map { try $0(element) })
                }
                for (element, time, key) in keyed {
                    place += 1
                    clocks.meet(time.microseconds)
                    let isTaken = add(
                        element, place, key, time.microseconds, clocks.time, to: &groups,
                        &singles)
                    fate = Fate(rawValue: max(fate.rawValue, isTaken ? 1 : 2)) ?? fate
                    if !isTaken, lateAreDead {
                        throw Late(
                            time: time,
                            streamTime: Timestamp(microseconds: clocks.time.own))
                    }
                }
            } catch {
                fate = .dead
                outcome.dead.append(
                    DeadLetter(
                        offset: Offset(UInt64(offset)), reason: FieldFailure.reason(error),
                        event: line))
            }
            switch fate {
            case .filtered: outcome.counters.filtered += 1
            case .applied: outcome.counters.applied += 1
            case .late: outcome.counters.late += 1
            case .dead: outcome.counters.dead += 1
            }
        }
        if let keep {
            groups.removeAll { group in
                guard case .timestamp(let end) = window(group)[1] else { return false }
                return end.microseconds + keep + endsInside <= clocks.time.passed
            }
        }
        outcome.tables = [groups.map(row).sorted { isOrdered($0.key, $1.key) }.map(\.row)]
        return outcome
    }

    /// Puts an element into its groups; false if it is late.
    private func add(
        _ element: Element, _ place: Int, _ key: [Value], _ time: Int64, _ now: SlowTime,
        to groups: inout [Group], _ singles: inout [Single]
    ) -> Bool {
        func isOpen(_ end: Int64, at streamTime: Int64? = nil) -> Bool {
            (lateness ?? keep).map { end + $0 + endsInside > streamTime ?? now.own } ?? true
        }
        let new = Group(key: key, start: time, last: time, elements: [(place, element)])
        switch cut {
        case .none: join(new, startingAt: 0, &groups)
        case .tumbling(let size):
            let start = Int64((Double(time) / Double(size)).rounded(.down)) * size
            guard isOpen(start + size) else { return false }
            join(new, startingAt: start, &groups)
        case .hopping(let size, let every, let offset):
            let middle = (time - offset) / every
            let starts = (middle - size / every - 2...middle + 2).map { $0 * every + offset }
                .filter { $0 <= time && time < $0 + size && isOpen($0 + size) }
            for start in starts { join(new, startingAt: start, &groups) }
            return !starts.isEmpty
        case .sliding(let size):
            guard isOpen(time + size) else { return false }
            for index in groups.indices
            where groups[index].key == key && (time...time + size).contains(groups[index].last)
                && isOpen(groups[index].last, at: now.passed)
            {
                groups[index].elements += new.elements
            }
            let isThere = groups.contains { $0.key == key && $0.last == time }
            if !isThere, isOpen(time, at: now.passed) {
                let before = singles.filter {
                    $0.key == key && (time - size...time).contains($0.time)
                }
                groups.append(
                    Group(
                        key: key, start: time - size, last: time,
                        elements: before.map(\.element) + new.elements))
            }
            singles.append(Single(key: key, time: time, element: (place, element)))
        case .session(let gap):
            let joined = groups.indices.filter {
                groups[$0].key == key && time >= groups[$0].start - gap
                    && time <= groups[$0].last + gap
                    && isOpen(groups[$0].last + gap, at: now.passed)
            }
            let start = joined.reduce(time) { min($0, groups[$1].start) }
            let last = joined.reduce(time) { max($0, groups[$1].last) }
            let isTaken = groups.indices.contains {
                groups[$0].key == key && groups[$0].start == start && !joined.contains($0)
            }
            if !isOpen(last + gap) || isTaken { return false }
            let elements = joined.flatMap { groups[$0].elements } + new.elements
            for index in joined.reversed() { groups.remove(at: index) }
            groups.append(
                Group(
                    key: key, start: start, last: last,
                    elements: elements.sorted { $0.place < $1.place }))
        }
        return true
    }

    /// Appends an element to those of the same key and start.
    private func join(_ new: Group, startingAt start: Int64, _ groups: inout [Group]) {
        let index = groups.firstIndex { $0.key == new.key && $0.start == start }
        if let index {
            groups[index].elements += new.elements
            return
        }
        groups.append(Group(key: new.key, start: start, last: new.last, elements: new.elements))
    }

    /// The start and the end of a group's window, if there are windows.
    private func window(_ group: Group) -> [Value] {
        let start = Value.timestamp(Timestamp(microseconds: group.start))
        switch cut {
        case .none: return []
        case .tumbling(let size), .hopping(let size, _, _):
            return [start, .timestamp(Timestamp(microseconds: group.start + size))]
        case .session(let gap):
            return [start, .timestamp(Timestamp(microseconds: group.last + gap))]
        case .sliding: return [start, .timestamp(Timestamp(microseconds: group.last))]
        }
    }

    /// A sliding window includes its end.
    private var endsInside: Int64 { if case .sliding = cut { 1 } else { 0 } }

    private func row(_ group: Group) -> (key: [Value], row: [Value]) {
        let window = window(group)
        let start = Value.timestamp(Timestamp(microseconds: group.start))
        let cells = aggregates.map { $0(group.elements.map(\.element)) }
        let head = windowFirst ? window + group.key : group.key + window
        let bounds = window.isEmpty ? [] : [start]
        return (windowFirst ? bounds + group.key : group.key + bounds, head + cells)
    }

    private func isOrdered(_ a: [Value], _ b: [Value]) -> Bool {
        for (x, y) in zip(a, b) where x != y {
            switch (x, y) {
            case (.integer(let i), .integer(let j)): return i < j
            case (.timestamp(let i), .timestamp(let j)): return i < j
            case (.bool(let i), .bool(let j)): return !i && j
            case (.text(let i), .text(let j)):
                return Array(i.utf8).lexicographicallyPrecedes(j.utf8)
            default: return false
            }
        }
        return false
    }
}

/// The aggregates of a list of values, as the documentation words them.
enum EventsAggregates {
    static func there<V>(_ values: [V?]) -> [V] { values.compactMap { $0 } }

    static func least<V: Comparable & ColumnValue>(_ values: [V?]) -> Value {
        there(values).min()?.cell ?? .null
    }
    static func largest<V: Comparable & ColumnValue>(_ values: [V?]) -> Value {
        there(values).max()?.cell ?? .null
    }
    static func leastText(_ values: [String?]) -> Value {
        there(values).min { Array($0.utf8).lexicographicallyPrecedes($1.utf8) }?.cell ?? .null
    }
    static func average(_ values: [Double?]) -> Value {
        let values = there(values)
        return values.isEmpty ? .null : .double(values.reduce(0, +) / Double(values.count))
    }
    static func average(_ values: [ExactDecimal?]) -> Value {
        let values = there(values)
        if values.isEmpty { return .null }
        return .double(values.reduce(0, +).doubleValue / Double(values.count))
    }
    /// By their bytes: canonically equivalent texts are different. Both zeros are one number.
    static func distinct<V: ColumnValue>(_ values: [V?]) -> Value {
        .integer(Int64(Set(there(values).map { Array(oneZero($0.cell).jsonText.utf8) }).count))
    }
    /// The two zeros of doubles are equal.
    private static func oneZero(_ cell: Value) -> Value {
        if case .double(let double) = cell { .double(double + 0) } else { cell }
    }
}
