import Glibc

/// The order of bytes, in which texts are compared everywhere.
enum ByteOrder {
    /// Negative, zero or positive, as `a` stands before, at or behind `b`.
    @inline(__always)
    static func compare(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
        if let x = a.baseAddress, let y = b.baseAddress {
            let order = memcmp(x, y, min(a.count, b.count))
            if order != 0 { return Int(order) }
        }
        return a.count - b.count
    }
}
