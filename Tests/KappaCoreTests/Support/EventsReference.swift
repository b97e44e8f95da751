@testable import KappaCore

/// A slow and obvious aggregation: it keeps every element of every group and looks at them at the end.
struct EventsReference<Element> {
    enum Cut {
        case none
        case tumbling(Int64)
        case hopping(Int64, every: Int64, offset: Int64)
        case session(Int64)
    }

    /// The elements of an event; throws where the view cannot take it, nil where it is of no interest.
    var elements: (JSONValue) throws -> [(Element, Timestamp)]?
    /// What an event of the log adds to the stream time, whether or not the view takes it.
    var time: (JSONValue) -> Timestamp? = { try? ValueDecoder($0).decode(Timed.self).at }
    var keys: [(Element) throws -> Value] = []
    var cut = Cut.none
    var lateness: Int64?
    var windowFirst = true
    /// Functions of the elements of a group in log order.
    var aggregates: [([Element]) -> Value]

    private struct Timed: Event {
        var at: Timestamp
    }

    private struct Group {
        var key: [Value]
        var start: Int64
        var last: Int64
        var elements: [(place: Int, element: Element)]
    }

    private enum Fate: Int {
        case filtered, applied, late, dead
    }

    /// The rows of the table in key order, and what became of the events.
    func run(_ lines: [String]) throws -> EventsOutcome {
        var groups: [Group] = []
        var streamTime = Int64.min
        var outcome = EventsOutcome(tables: [], counters: Counters(), dead: [])
        var place = 0
        for (offset, line) in lines.enumerated() {
            var fate = Fate.filtered
            do {
                let event = try JSONValue(parsing: line)
                streamTime = max(streamTime, time(event)?.microseconds ?? .min)
                let taken = try elements(event) ?? []
                let keyed = try taken.map { element, time in
                    (element, time, try keys.map { try $0(element) })
                }
                for (element, time, key) in keyed {
                    place += 1
                    streamTime = max(streamTime, time.microseconds)
                    let new = add(
                        element, place, key, time.microseconds, streamTime, to: &groups)
                    fate = Fate(rawValue: max(fate.rawValue, new.rawValue)) ?? fate
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
        outcome.tables = [groups.map(row).sorted { isOrdered($0.key, $1.key) }.map(\.row)]
        return outcome
    }

    /// Puts an element into its groups: filtered if it is in no window, late if all have closed.
    private func add(
        _ element: Element, _ place: Int, _ key: [Value], _ time: Int64, _ streamTime: Int64,
        to groups: inout [Group]
    ) -> Fate {
        if case .session(let gap) = cut {
            let session = Group(key: key, start: time, last: time, elements: [(place, element)])
            return add(session, gap, streamTime, to: &groups) ? .applied : .late
        }
        let windows = windows(of: time)
        let open = windows.filter { window in
            lateness.map { window.end + $0 > streamTime } ?? true
        }
        for window in open {
            if let index = groups.firstIndex(where: { $0.key == key && $0.start == window.start }) {
                groups[index].elements.append((place, element))
            } else {
                groups.append(
                    Group(key: key, start: window.start, last: 0, elements: [(place, element)]))
            }
        }
        return windows.isEmpty ? .filtered : open.isEmpty ? .late : .applied
    }

    private func windows(of time: Int64) -> [(start: Int64, end: Int64)] {
        switch cut {
        case .none, .session: return [(0, .max)]
        case .tumbling(let size):
            let start = Int64((Double(time) / Double(size)).rounded(.down)) * size
            return [(start, start + size)]
        case .hopping(let size, let every, let offset):
            let first = Int64((Double(time - size - offset) / Double(every)).rounded(.down)) - 2
            return (first...(first + size / every + 6)).map { number in
                (number * every + offset, number * every + offset + size)
            }.filter { $0.0 <= time && time < $0.1 }
        }
    }

    /// Puts a session of one element among the others; false if it is late.
    private func add(
        _ new: Group, _ gap: Int64, _ streamTime: Int64, to groups: inout [Group]
    ) -> Bool {
        var group = new
        let joined = groups.indices.filter {
            groups[$0].key == new.key && new.start >= groups[$0].start - gap
                && new.start <= groups[$0].last + gap
        }
        let end = joined.reduce(new.last) { max($0, groups[$1].last) } + gap
        if let lateness, end + lateness <= streamTime { return false }
        for index in joined {
            group.start = min(group.start, groups[index].start)
            group.last = max(group.last, groups[index].last)
            group.elements += groups[index].elements
        }
        group.elements.sort { $0.place < $1.place }
        for index in joined.reversed() { groups.remove(at: index) }
        groups.append(group)
        return true
    }

    private func row(_ group: Group) -> (key: [Value], row: [Value]) {
        let start = Value.timestamp(Timestamp(microseconds: group.start))
        var window: [Value] = []
        switch cut {
        case .none: break
        case .tumbling(let size), .hopping(let size, _, _):
            window = [start, .timestamp(Timestamp(microseconds: group.start + size))]
        case .session(let gap):
            window = [start, .timestamp(Timestamp(microseconds: group.last + gap))]
        }
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
    static func average(_ values: [Decimal?]) -> Value {
        let values = there(values)
        if values.isEmpty { return .null }
        return .double(values.reduce(0, +).doubleValue / Double(values.count))
    }
    /// By their bytes: text that only looks alike is different. Both zeros are one number.
    static func distinct<V: ColumnValue>(_ values: [V?]) -> Value {
        .integer(Int64(Set(there(values).map { Array(oneZero($0.cell).jsonText.utf8) }).count))
    }
    /// The two zeros of doubles are equal.
    private static func oneZero(_ cell: Value) -> Value {
        if case .double(let double) = cell { .double(double + 0) } else { cell }
    }
}
