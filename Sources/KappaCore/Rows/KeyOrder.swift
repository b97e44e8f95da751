import CKappaJSON

/// The order of keys, as the store has it: integers by value, texts by their bytes.
enum KeyOrder {
    static func sort(_ ids: inout [UInt32], in table: GroupTable) {
        guard ids.count > 1, table.keyParts > 0 else { return }
        var sort = KeySort(ids)
        var end = table.keyParts
        while end > 0 {
            var start = end - 1
            if table.isText(start) {
                sort.sortByTexts { table.textKey($0, start) }
            } else {
                while start > 0, !table.isText(start - 1) { start -= 1 }
                sort.sortByIntegers(parts: start..<end) { table.integerKey($0, $1) }
            }
            end = start
        }
        ids = sort.ids
    }

    /// Numbers of windows, sorted by the starts of these and their keys. Each key is looked at once:
    /// windows are sorted by their keys' ranks.
    /// - Parameter startsFirst: Whether the start stands before the key.
    static func sorted(
        _ windows: [UInt32], in keys: GroupTable, key: (UInt32) -> UInt32,
        start: (UInt32) -> Int64, startsFirst: Bool
    ) -> [UInt32] {
        var ranks = [UInt32](repeating: .max, count: keys.count)
        var used: [UInt32] = []
        for id in windows where ranks[Int(key(id))] == .max {
            ranks[Int(key(id))] = 0
            used.append(key(id))
        }
        sort(&used, in: keys)
        for (rank, key) in used.enumerated() { ranks[Int(key)] = UInt32(rank) }
        var sort = KeySort(windows)
        if !startsFirst { sort.sortByIntegers(start) }
        sort.sortByIntegers { Int64(ranks[Int(key($0))]) }
        if startsFirst { sort.sortByIntegers(start) }
        return sort.ids
    }
}
