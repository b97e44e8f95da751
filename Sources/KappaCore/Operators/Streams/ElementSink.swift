/// The elements that a view's closures make, one after another, each with the number of the old element it
/// was made from.
///
/// The loops that call a view's closures are compiled in the view's own module, where the types are known; so
/// are the parts of this type that they use.
@usableFromInline
struct ElementSink<Element> {
    @usableFromInline var elements: UnsafeMutablePointer<Element>
    @usableFromInline var origins: UnsafeMutablePointer<Int32>
    @usableFromInline var count = 0
    @usableFromInline var capacity = 256
    /// The old elements for which the closure threw or whose struct could not be made, with the errors.
    var failures: [(old: Int, error: any Error)] = []

    init() {
        elements = .allocate(capacity: capacity)
        origins = .allocate(capacity: capacity)
    }

    func deallocate() {
        elements.deinitialize(count: count)
        elements.deallocate()
        origins.deallocate()
    }

    @inlinable
    mutating func append(_ element: consuming Element, of old: Int) {
        if count == capacity { grow() }
        (elements + count).initialize(to: element)
        origins[count] = Int32(truncatingIfNeeded: old)
        count &+= 1
    }

    /// Moves the old elements with the given numbers out of their memory, one after another, and records
    /// those for which `body` throws.
    @inlinable @inline(__always)
    mutating func make<Old>(
        of old: UnsafeMutablePointer<Old>, _ numbers: Range<Int>,
        _ body: (_ old: Old, _ number: Int, _ new: inout ElementSink) throws -> Void
    ) {
        for number in numbers {
            let element = (old + (number - numbers.lowerBound)).move()
            do {
                try body(element, number, &self)
                try DecimalOverflow.check()
            } catch { fail(number, error) }
        }
    }

    @usableFromInline
    mutating func fail(_ old: Int, _ error: any Error) { failures.append((old, error)) }

    mutating func truncate(to newCount: Int) {
        guard newCount < count else { return }
        (elements + newCount).deinitialize(count: count - newCount)
        count = newCount
    }

    /// Removes the elements from `mark` on whose old element is unwanted.
    mutating func remove(from mark: Int, where isUnwanted: (_ old: Int) -> Bool) {
        var end = mark
        for index in mark..<count {
            if isUnwanted(Int(origins[index])) {
                (elements + index).deinitialize(count: 1)
                continue
            }
            if end < index {
                (elements + end).moveInitialize(from: elements + index, count: 1)
                origins[end] = origins[index]
            }
            end += 1
        }
        count = end
    }

    @usableFromInline
    mutating func grow() {
        elements = elements.grown(from: count, to: 2 * capacity)
        origins = origins.grown(from: count, to: 2 * capacity)
        capacity *= 2
    }
}

extension UnsafeMutablePointer {
    /// Moves the first values into new memory with more room.
    func grown(from count: Int, to capacity: Int) -> UnsafeMutablePointer {
        let larger = UnsafeMutablePointer.allocate(capacity: capacity)
        larger.moveInitialize(from: self, count: count)
        deallocate()
        return larger
    }
}

/// Makes new elements from old ones, in bulk: moves the old elements, which have the given numbers, out of
/// their memory. `isLate` holds by number which of them are late; it is nil if lateness is not judged.
@usableFromInline
typealias ElementLoop<Old, New> =
    @Sendable (
        _ old: UnsafeMutablePointer<Old>, _ numbers: Range<Int>, _ isLate: UnsafePointer<Bool>?,
        _ new: inout ElementSink<New>
    ) -> Void

/// Chooses elements in bulk: moves the elements with the given numbers out of their memory, and sets
/// `isWanted` by number.
@usableFromInline
typealias ChoosingLoop<Element> =
    @Sendable (
        _ elements: UnsafeMutablePointer<Element>, _ numbers: Range<Int>,
        _ isWanted: UnsafeMutablePointer<Bool>,
        _ failed: (_ number: Int, _ error: any Error) -> Void
    ) -> Void
