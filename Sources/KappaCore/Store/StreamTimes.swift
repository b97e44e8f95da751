/// How far the event times of a version have come: for each of its clocks, in each time partition of the log.
///
/// A step of the view has a clock, and so has each stream that judges lateness by itself.
package struct StreamTimes: Equatable, Sendable {
    package struct Partition: Equatable, Sendable {
        /// Empty for the one that all events share whose source declares none.
        package var name: String
        /// Whether it has had an event. Until then a declared partition holds all clocks back: nobody knows the
        /// times that it will have.
        package var hasEvents: Bool
        /// The largest event time so far, by clock, in microseconds; `Int64.min` before the first.
        package var times: [Int64]

        package init(name: String, hasEvents: Bool, times: [Int64]) {
            self.name = name
            self.hasEvents = hasEvents
            self.times = times
        }
    }

    /// The undeclared one first, then the others in the order in which the log declares them.
    package var partitions: [Partition]
    /// The time that all partitions have passed, by clock: rows of windows that closed before it are final. It never
    /// falls.
    package var least: [Int64]

    package init(partitions: [Partition], least: [Int64]) {
        self.partitions = partitions
        self.least = least
    }

    /// Times of the undeclared partition alone.
    package init(_ times: [Int64] = []) {
        self.init(
            partitions: [Partition(name: "", hasEvents: true, times: times)], least: times)
    }

    /// As a version stores them. Versions of logs without declared partitions have the first part alone.
    ///
    /// | part | what |
    /// |---|---|
    /// | `5,7` | the times of the undeclared partition, by clock |
    /// | ` =5,7` | what all have passed |
    /// | ` orders/3:5,7` | the times of a declared partition |
    /// | ` orders/4?5,7` | the times of one without events |
    package var text: String {
        func list(_ times: [Int64]) -> String { times.map(String.init).joined(separator: ",") }
        guard partitions.count > 1 else { return list(least) }
        let declared = partitions.dropFirst().map {
            "\($0.name)\($0.hasEvents ? ":" : "?")\(list($0.times))"
        }
        return ([list(partitions[0].times), "=\(list(least))"] + declared)
            .joined(separator: " ")
    }

    /// - Throws: `.damaged` if the text is not one that ``text`` writes.
    package init(_ text: String) throws(KappaError) {
        func list(_ text: Substring) throws(KappaError) -> [Int64] {
            var times: [Int64] = []
            for part in text.split(separator: ",") {
                guard let time = Int64(part) else { throw Self.damage(String(text)) }
                times.append(time)
            }
            return times
        }
        let parts = text.split(separator: " ", omittingEmptySubsequences: false)
        self.init(try list(parts.first ?? ""))
        for part in parts.dropFirst() {
            guard let mark = part.lastIndex(where: { "=:?".contains($0) }) else {
                throw Self.damage(text)
            }
            let times = try list(part[part.index(after: mark)...])
            if part[mark] == "=" {
                least = times
            } else {
                partitions.append(
                    Partition(
                        name: String(part[..<mark]), hasEvents: part[mark] == ":", times: times))
            }
        }
    }

    private static func damage(_ text: String) -> KappaError {
        KappaError(
            .damaged, "the stream times of a version cannot be read",
            because: "they are \"\(text)\"",
            advice: "`kappa rebuild VIEW` makes a new version from the log")
    }
}
