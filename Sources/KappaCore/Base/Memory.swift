import Glibc

/// Memory that may become large and is accessed at random.
enum LargeMemory {
    /// Resizes memory, or allocates it where there is none. The system moves large areas by remapping
    /// their pages, so growing them copies nothing and needs no room for a second copy.
    static func resized(
        _ memory: UnsafeMutableRawPointer?, byteCount: Int
    ) -> UnsafeMutableRawPointer {
        guard let resized = realloc(memory, byteCount) else {
            preconditionFailure("the system has no memory left for \(byteCount) bytes of rows")
        }
        if byteCount >= hugeBytes { adviseHugePages(resized, byteCount) }
        return resized
    }

    private static let hugeBytes = 8 << 20

    /// With huge pages the processor translates addresses faster, and the system provides the memory in
    /// fewer steps.
    private static func adviseHugePages(_ start: UnsafeMutableRawPointer, _ byteCount: Int) {
        let page = 4_096
        let first = (UInt(bitPattern: start) + UInt(page) - 1) / UInt(page) * UInt(page)
        let skipped = Int(first - UInt(bitPattern: start))
        madvise(
            UnsafeMutableRawPointer(bitPattern: first), (byteCount - skipped) / page * page,
            MADV_HUGEPAGE)
    }
}

/// Memory that is reused, and grows where it must.
final class ScratchMemory {
    private var start = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 8)
    private var capacity = 64
    private var count = 0

    deinit { start.deallocate() }

    /// Room for `size` bytes; earlier contents are lost.
    func reserve(_ size: Int) -> UnsafeMutableRawPointer {
        if size > capacity {
            start.deallocate()
            capacity = max(size, 2 * capacity)
            start = .allocate(byteCount: capacity, alignment: 8)
        }
        return start
    }

    func set(_ bytes: UnsafeRawBufferPointer) {
        let room = reserve(bytes.count)
        if let source = bytes.baseAddress { room.copyMemory(from: source, byteCount: bytes.count) }
        count = bytes.count
    }

    /// What was set last.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }
}

/// A list of plain values: numbers, and structs of numbers.
///
/// Swift checks an array in a class's property for exclusive access at every read and write of a value,
/// which costs more than most of the work on the value. This list checks only bounds.
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

    /// Removes and returns the last value; nil where there is none.
    @discardableResult
    func popLast() -> Element? {
        if count == 0 { return nil }
        count -= 1
        return memory[count]
    }

    /// Drops the values after the first `newCount`.
    func truncate(to newCount: Int) { count = Swift.min(count, Swift.max(0, newCount)) }

    private func grow() {
        let larger = UnsafeMutablePointer<Element>.allocate(capacity: 2 * capacity)
        larger.moveInitialize(from: memory, count: count)
        memory.deallocate()
        memory = larger
        capacity *= 2
    }
}
