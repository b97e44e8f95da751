import KappaTesting

@testable import KappaCore

/// What the log has of an event beside its text.
enum EventsPlace {
    /// An event of a time partition; nil for the one that is not declared.
    case event(String?)
    /// A tick of one partition, or of all. Its text is `{}`.
    case tick(Int64, String?, all: Bool)
    case declaration(String)

    /// Appends consecutive lines of the log; `positions` count the events of each source.
    static func append(
        _ lines: ArraySlice<String>, _ places: [EventsPlace], _ writer: LogWriter,
        _ positions: inout [String: UInt64]
    ) throws {
        var next = lines.startIndex
        while next < lines.endIndex {
            guard case .event(let name) = places.isEmpty ? .event(nil) : places[next] else {
                switch places[next] {
                case .tick(let time, let name, let all):
                    let source = all ? nil : name ?? "undeclared"
                    _ = try writer.append(.time(time, source: source))
                case .declaration(let name): _ = try writer.append(.declaration(name))
                case .event: break
                }
                next += 1
                continue
            }
            var batch = EventLines()
            while next < lines.endIndex {
                if !places.isEmpty {
                    guard case .event(name) = places[next] else { break }
                }
                batch.append(try EventLines(event: lines[next]))
                next += 1
            }
            guard !places.isEmpty else {
                _ = try writer.append(batch)
                continue
            }
            let source = name ?? "undeclared"
            let position = positions[source, default: 0]
            _ = try writer.append(batch, source: SourceBatch(name: source, position: position))
            positions[source] = position + UInt64(batch.count)
        }
    }

    /// Gives each line a place, and adds ticks and declarations; or leaves all as they are, for half of the logs.
    static func random(_ lines: inout [String], _ random: inout SplitMix) throws -> [EventsPlace] {
        if random.chance(1, in: 2) { return [] }
        let names = ["p/0", "p/1", "p/2"].prefix(1 + random.below(3))
        let hasUndeclared = random.chance(1, in: 2)
        let staysIn = random.pick([1, 3, 20])
        let ticksIn = random.pick([4, 15, 1_000])
        let times = try lines.compactMap { line -> Int64? in
            let event = try JSONValue(parsing: line)
            guard let at = event["at"], let time = try? ValueDecoder(at).decode(Timestamp.self)
            else { return nil }
            return time.microseconds
        }
        var declared: [String] = []
        var hasEvents = false
        var made: [String] = []
        var places: [EventsPlace] = []
        func add(_ place: EventsPlace, _ line: String = "{}") {
            places.append(place)
            made.append(line)
        }
        func declare(_ name: String) {
            if declared.contains(name) { return }
            declared.append(name)
            add(.declaration(name))
        }
        // Some are declared before their first event.
        for name in names where random.chance(1, in: 2) { declare(name) }
        var current: String?
        if !hasUndeclared { current = names[0] }
        for line in lines {
            if random.chance(1, in: staysIn) {
                current = names.randomElement(using: &random)
                if hasUndeclared, random.chance(1, in: 3) { current = nil }
            }
            if random.chance(1, in: ticksIn), let time = times.randomElement(using: &random) {
                let moved = time + Int64(random.below(8_000_000)) - 4_000_000
                let targets = declared.map { Optional($0) } + (hasEvents ? [nil] : [])
                let target = random.chance(1, in: 3) ? nil : targets.randomElement(using: &random)
                if let target {
                    add(.tick(moved, target, all: false))
                } else {
                    add(.tick(moved, nil, all: true))
                }
            }
            if let current { declare(current) } else { hasEvents = true }
            add(.event(current), line)
        }
        lines = made
        return places
    }
}

/// The stream time as a model takes it: of the event's partition, and what all partitions have passed.
struct SlowTime {
    var own = Int64.min
    var passed = Int64.min
}

/// The stream times of a slow reference: one event after the other.
struct SlowClocks {
    private struct Partition {
        var name: String?
        var hasEvents: Bool
        var time: Int64?
    }
    private var partitions = [Partition(name: nil, hasEvents: true, time: nil)]
    private var passed = Int64.min
    private var current = 0

    var time: SlowTime { SlowTime(own: partitions[current].time ?? passed, passed: passed) }

    /// Turns to the next event; false if it is a tick.
    mutating func turn(to place: EventsPlace) -> Bool {
        switch place {
        case .event(let name):
            current = index(of: name)
            partitions[current].hasEvents = true
            settle()
            return true
        case .declaration(let name):
            _ = index(of: name)
            settle()
        case .tick(let time, let name, let all):
            let moved = all ? Array(partitions.indices) : [index(of: name)]
            for index in moved where holds(index) || partitions.count == 1 {
                partitions[index].time = max(partitions[index].time ?? passed, time)
            }
            settle()
        }
        return false
    }

    mutating func meet(_ time: Int64) {
        partitions[current].time = max(partitions[current].time ?? passed, time)
        settle()
    }

    private mutating func index(of name: String?) -> Int {
        if let index = partitions.firstIndex(where: { $0.name == name }) { return index }
        partitions.append(Partition(name: name, hasEvents: false, time: nil))
        return partitions.count - 1
    }

    private func holds(_ index: Int) -> Bool {
        let partition = partitions[index]
        return partition.time != nil || partition.name != nil && !partition.hasEvents
    }

    private mutating func settle() {
        let held = partitions.indices.filter(holds).map { partitions[$0].time ?? .min }
        if let least = held.min() { passed = max(passed, least) }
    }
}
