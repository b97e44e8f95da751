import CKappaJSON
import Glibc

/// The order of keys, as the store has it: integers by value, texts by their bytes.
enum KeyOrder {
    static func sort(_ ids: inout [UInt32], in table: GroupTable) {
        guard ids.count > 1, table.keyParts > 0 else { return }
        var sort = KeySort(ids)
        for part in (0..<table.keyParts).reversed() {
            if table.isText(part) {
                sort.sortByTexts { table.textKey($0, part) }
            } else {
                sort.sortByIntegers { table.integerKey($0, part) }
            }
        }
        ids = sort.ids
    }

    /// Negative, zero or positive, as `a` stands before, at or behind `b`.
    static func compare(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
        if let x = a.baseAddress, let y = b.baseAddress {
            let order = memcmp(x, y, min(a.count, b.count))
            if order != 0 { return Int(order) }
        }
        return a.count - b.count
    }
}
