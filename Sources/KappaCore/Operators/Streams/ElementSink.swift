/// Where the closures of a view put the elements that they make: one behind the other, with the number of
/// the old element that each was made of.
///
/// The loops that call a view's closures are compiled in the view's own module, where the types are
/// known, and so is what they use of this.
@usableFromInline
struct ElementSink<Element> {
    @usableFromInline var elements: UnsafeMutablePointer<Element>
    @usableFromInline var origins: UnsafeMutablePointer<Int32>
    @usableFromInline var count = 0
    @usableFromInline var capacity = 256
    /// The old elements of which nothing can be made, and why.
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

    /// Takes the old elements of some numbers out of their memory, and notes those for which `body` throws.
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

    /// Removes those elements behind `mark` whose old element is not wanted.
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

/// Makes new elements of old ones, of any number of them: takes the old ones, which have the given
/// numbers, out of their memory. `isLate` tells by the numbers which of them are; it is nil where nobody
/// judges that.
@usableFromInline
typealias ElementLoop<Old, New> =
    @Sendable (
        _ old: UnsafeMutablePointer<Old>, _ numbers: Range<Int>, _ isLate: UnsafePointer<Bool>?,
        _ new: inout ElementSink<New>
    ) -> Void

/// Chooses elements: takes those of the given numbers out of their memory and tells by the numbers which
/// are wanted.
@usableFromInline
typealias ChoosingLoop<Element> =
    @Sendable (
        _ elements: UnsafeMutablePointer<Element>, _ numbers: Range<Int>,
        _ isWanted: UnsafeMutablePointer<Bool>,
        _ failed: (_ number: Int, _ error: any Error) -> Void
    ) -> Void
