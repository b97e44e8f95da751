/// A first-in, first-out queue that knows how many bytes it holds, and whether it has room for more.
///
/// It releases an element as soon as the element is taken, even while others remain, and its own memory
/// shrinks with its contents.
struct BoundedQueue<Element> {
    private struct Slot {
        var element: Element
        var bytes: Int
    }

    /// A ring: the first element is at `first`; the others follow it, and may wrap around to the ring's
    /// beginning.
    private var ring: [Slot?] = []
    private var first = 0
    private(set) var count = 0
    /// Of all elements, as the callers of ``append(_:bytes:)`` gave them.
    private(set) var bytes = 0
    private let mostCount: Int
    private let mostBytes: Int

    static var leastCapacity: Int { 16 }

    /// - Parameters:
    ///   - mostCount: With this many elements the queue is full.
    ///   - mostBytes: With this many bytes the queue is full; a single element may have more.
    init(mostCount: Int = .max, mostBytes: Int = .max) {
        self.mostCount = mostCount
        self.mostBytes = mostBytes
    }

    var isEmpty: Bool { count == 0 }
    /// Whether another element may be added.
    var hasRoom: Bool { count < mostCount && bytes < mostBytes }
    /// How many elements there is memory for.
    var capacity: Int { ring.count }

    /// Adds an element without a check for room: the caller has checked.
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

    /// Takes the first elements, up to `most` bytes in all; at least one, if there is one.
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

    /// The capacity stays a power of two, so that a mask finds an element's place.
    private mutating func resize(to capacity: Int) {
        var larger = [Slot?](repeating: nil, count: capacity)
        for index in 0..<count {
            larger[index] = ring[(first + index) & (ring.count - 1)]
        }
        ring = larger
        first = 0
    }
}
