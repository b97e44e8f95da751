/// Numbers by time: a binary heap with the oldest on top.
struct TimeHeap {
    private var entries: [(time: Int64, number: UInt32)] = []

    mutating func insert(_ time: Int64, _ number: UInt32) {
        entries.append((time, number))
        var child = entries.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            if entries[parent].time <= entries[child].time { return }
            entries.swapAt(parent, child)
            child = parent
        }
    }

    /// Takes the oldest number out, if its time is `time` or earlier.
    mutating func pop(upTo time: Int64) -> UInt32? {
        guard let top = entries.first, top.time <= time else { return nil }
        entries.swapAt(0, entries.count - 1)
        entries.removeLast()
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < entries.count else { return top.number }
            if child + 1 < entries.count, entries[child + 1].time < entries[child].time {
                child += 1
            }
            if entries[parent].time <= entries[child].time { return top.number }
            entries.swapAt(parent, child)
            parent = child
        }
    }
}
