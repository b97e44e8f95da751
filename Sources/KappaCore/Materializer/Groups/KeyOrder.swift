import CKappaJSON
import Glibc

/// Sorts groups by key, as the store orders them: integers by value, texts by their bytes.
enum KeyOrder {
    static func sort(_ ids: inout [UInt32], in table: GroupTable) {
        guard ids.count > 1, table.keyParts > 0 else { return }
        // Most keys differ in their first eight bytes: those are compared without going to memory.
        var tagged = ids.map { (prefix: prefix($0, table), id: $0) }
        tagged.sort { a, b in
            a.prefix != b.prefix ? a.prefix < b.prefix : compare(a.id, b.id, table) < 0
        }
        for index in ids.indices { ids[index] = tagged[index].id }
    }

    /// The first part of a key as a number that orders as the part does, as far as it reaches.
    private static func prefix(_ id: UInt32, _ table: GroupTable) -> UInt64 {
        guard table.isText(0) else {
            return UInt64(bitPattern: table.integerKey(id, 0)) ^ (1 << 63)
        }
        let text = table.textKey(id, 0).buffer
        var prefix: UInt64 = 0
        for index in 0..<min(8, text.count) {
            prefix |= UInt64(text[index]) << UInt64(56 - 8 * index)
        }
        return prefix
    }

    /// Negative, zero or positive, as `a` stands before, at or behind `b`.
    static func compare(_ a: UInt32, _ b: UInt32, _ table: GroupTable) -> Int {
        for part in 0..<table.keyParts {
            if table.isText(part) {
                let order = compare(table.textKey(a, part).buffer, table.textKey(b, part).buffer)
                if order != 0 { return order }
            } else {
                let x = table.integerKey(a, part)
                let y = table.integerKey(b, part)
                if x != y { return x < y ? -1 : 1 }
            }
        }
        return 0
    }

    static func compare(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
        if let x = a.baseAddress, let y = b.baseAddress {
            let order = memcmp(x, y, min(a.count, b.count))
            if order != 0 { return Int(order) }
        }
        return a.count - b.count
    }
}
