/// Sorting by digits of a word, from the lowest to the highest. Each pass is stable: it keeps the order of
/// entries with the same digit.
enum RadixSort {
    /// One pass over `count` entries, wherever they are kept.
    /// - Parameters:
    ///   - places: Memory with a number for each digit. The caller allocates it, because `digit` and `move`
    ///     are inlined into these loops only if no closure of this function captures them.
    ///   - digit: The digit of the entry at an index.
    ///   - move: Moves the entry at an index to its new index, in other memory.
    @inline(__always)
    static func pass(
        _ count: Int, _ places: UnsafeMutableBufferPointer<Int>, digit: (Int) -> Int,
        move: (_ from: Int, _ to: Int) -> Void
    ) {
        places.initialize(repeating: 0)
        for index in 0..<count { places[digit(index)] += 1 }
        var next = 0
        for digit in places.indices {
            let own = places[digit]
            places[digit] = next
            next += own
        }
        for index in 0..<count {
            let digit = digit(index)
            let place = places[digit]
            places[digit] = place + 1
            move(index, place)
        }
    }
}

/// Sorts integers: many of them by one radix pass for each byte in which they differ.
enum WordSort {
    private static let few = 256

    static func sort(_ values: inout [Int64]) {
        guard values.count > few else { return values.sort() }
        var differing: UInt64 = 0
        for value in values { differing |= UInt64(bitPattern: value ^ values[0]) }
        var scratch = values
        for shift in stride(from: UInt64(0), to: 64, by: 8) where differing >> shift & 0xFF != 0 {
            pass(values, shift, into: &scratch)
            swap(&values, &scratch)
        }
    }

    private static func pass(_ source: [Int64], _ shift: UInt64, into target: inout [Int64]) {
        source.withUnsafeBufferPointer { source in
            target.withUnsafeMutableBufferPointer { target in
                withUnsafeTemporaryAllocation(of: Int.self, capacity: 256) { places in
                    RadixSort.pass(source.count, places) {
                        Int(ByteOrder.word(source[$0]) >> shift & 0xFF)
                    } move: {
                        target[$1] = source[$0]
                    }
                }
            }
        }
    }
}
