/// First in, first out; it knows how many bytes it holds, and whether it has room for more.
///
/// What is taken is free at once, whether the queue is empty then or not, and the memory of the queue
/// itself shrinks with what it holds.
struct BoundedQueue<Element> {
    private struct Slot {
        var element: Element
        var bytes: Int
    }

    /// A ring: the first element stands at `first`, the others after it, the last ones perhaps at the
    /// ring's beginning.
    private var ring: [Slot?] = []
    private var first = 0
    private(set) var count = 0
    /// Of all that it holds, as those who put it in said.
    private(set) var bytes = 0
    private let mostCount: Int
    private let mostBytes: Int

    static var leastCapacity: Int { 16 }

    /// - Parameters:
    ///   - mostCount: So many elements are enough.
    ///   - mostBytes: So many bytes are enough; a single element may have more.
    init(mostCount: Int = .max, mostBytes: Int = .max) {
        self.mostCount = mostCount
        self.mostBytes = mostBytes
    }

    var isEmpty: Bool { count == 0 }
    /// Whether one more may be put in.
    var hasRoom: Bool { count < mostCount && bytes < mostBytes }
    /// Elements for which there is memory.
    var capacity: Int { ring.count }

    /// Puts an element in, whether there is room or not: whoever calls has looked.
    mutating func append(_ element: Element, bytes size: Int = 0) {
        if count == ring.count { resize(to: max(Self.leastCapacity, 2 * count)) }
        ring[(first + count) & (ring.count - 1)] = Slot(element: element, bytes: size)
        count += 1
        bytes += size
    }

    mutating func popFirst() -> Element? {
        guard count > 0, let slot = ring[first] else { return nil }
        ring[first] = nil
        first = (first + 1) & (ring.count - 1)
        count -= 1
        bytes -= slot.bytes
        if ring.count > Self.leastCapacity, count <= ring.count / 4 { resize(to: ring.count / 2) }
        return slot.element
    }

    /// Takes the first elements, up to so many bytes; at least one.
    mutating func popFirst(upToBytes most: Int) -> [Element] {
        var taken: [Element] = []
        var left = most
        while count > 0, let size = ring[first]?.bytes, taken.isEmpty || size <= left,
            let element = popFirst()
        {
            taken.append(element)
            left -= size
        }
        return taken
    }

    /// The capacity stays a power of two, so that a place is found by its low bits.
    private mutating func resize(to capacity: Int) {
        var larger = [Slot?](repeating: nil, count: capacity)
        for index in 0..<count {
            larger[index] = ring[(first + index) & (ring.count - 1)]
        }
        ring = larger
        first = 0
    }
}
