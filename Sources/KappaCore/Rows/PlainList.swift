/// A list of plain values: numbers, and structs of nothing else.
///
/// An array that is a property of a class is checked for exclusive access wherever a value of it is
/// read or written, which costs more than most of what is done with the value. Here nothing is checked
/// but bounds.
final class PlainList<Element>: RandomAccessCollection {
    private var memory: UnsafeMutablePointer<Element>
    private var capacity = 64
    private(set) var count = 0

    init() {
        precondition(_isPOD(Element.self), "values that need no destroying")
        memory = .allocate(capacity: capacity)
    }

    deinit { memory.deallocate() }

    var startIndex: Int { 0 }
    var endIndex: Int { count }

    subscript(index: Int) -> Element {
        @inline(__always) get {
            precondition(index >= 0 && index < count, "the list has no such value")
            return memory[index]
        }
        @inline(__always) set {
            precondition(index >= 0 && index < count, "the list has no such value")
            memory[index] = newValue
        }
    }

    @inline(__always)
    func append(_ value: Element) {
        if count == capacity { grow() }
        (memory + count).initialize(to: value)
        count += 1
    }

    /// Takes the last value out; nil where there is none.
    @discardableResult
    func popLast() -> Element? {
        if count == 0 { return nil }
        count -= 1
        return memory[count]
    }

    /// Forgets values until so many are left.
    func truncate(to newCount: Int) { count = Swift.min(count, Swift.max(0, newCount)) }

    private func grow() {
        let larger = UnsafeMutablePointer<Element>.allocate(capacity: 2 * capacity)
        larger.moveInitialize(from: memory, count: count)
        memory.deallocate()
        memory = larger
        capacity *= 2
    }
}
