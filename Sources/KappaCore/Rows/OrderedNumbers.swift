/// Numbers of records in an order that their owner knows, in pieces of bounded size. So finding, inserting
/// and removing costs little, however many there are.
struct OrderedNumbers {
    private static let mostInPiece = 512
    /// No piece is empty, unless it is the only one.
    private var pieces: [[UInt32]] = [[]]

    /// The position of a number, or the end.
    struct Place {
        fileprivate var piece: Int
        fileprivate var index: Int
    }

    init() {}

    /// - Parameter numbers: The numbers, in order.
    init(_ numbers: [UInt32]) {
        let size = Self.mostInPiece / 2
        pieces = stride(from: 0, to: max(1, numbers.count), by: size).map { start in
            Array(numbers[start..<min(start + size, numbers.count)])
        }
    }

    var memoryBytes: Int {
        pieces.reduce(0) { $0 + $1.capacity * MemoryLayout<UInt32>.stride + 32 }
    }

    /// The first place whose number does not come before the wanted one.
    /// - Parameter isBefore: Holds for all numbers up to some place, and for none from there on.
    func place(where isBefore: (UInt32) -> Bool) -> Place {
        let piece = Self.firstIndex(pieces.count - 1) { index in
            guard let last = pieces[index].last else { return false }
            return isBefore(last)
        }
        let numbers = pieces[piece]
        return Place(
            piece: piece, index: Self.firstIndex(numbers.count) { isBefore(numbers[$0]) })
    }

    /// The number at a place; nil at the end.
    func number(at place: Place) -> UInt32? {
        let numbers = pieces[place.piece]
        return place.index < numbers.count ? numbers[place.index] : nil
    }

    /// The number before a place; nil at the beginning.
    func number(before place: Place) -> UInt32? {
        if place.index > 0 { return pieces[place.piece][place.index - 1] }
        return place.piece > 0 ? pieces[place.piece - 1].last : nil
    }

    mutating func insert(_ number: UInt32, at place: Place) {
        pieces[place.piece].insert(number, at: place.index)
        guard pieces[place.piece].count > Self.mostInPiece else { return }
        let half = pieces[place.piece].count / 2
        pieces.insert(Array(pieces[place.piece][half...]), at: place.piece + 1)
        pieces[place.piece].removeLast(pieces[place.piece].count - half)
    }

    mutating func remove(at place: Place) {
        pieces[place.piece].remove(at: place.index)
        if pieces[place.piece].isEmpty, pieces.count > 1 { pieces.remove(at: place.piece) }
    }

    /// The first index below `count` for which the condition does not hold; `count` if it always holds.
    private static func firstIndex(_ count: Int, where isBefore: (Int) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if isBefore(middle) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

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
