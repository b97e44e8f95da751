import Testing

@testable import KappaCore

@Suite("Groups by key")
struct GroupTableTests {
    @Test("groups that were appended are found, among others that were looked up")
    func appended() throws {
        let table = GroupTable(keyIsText: [false, true], stateBytes: 8)
        let builder = PackedRowBuilder(cells: 2)
        let cursor = PackedCursor()
        let key = LoadedKey(parts: 2)
        func turn(to number: Int) {
            builder.begin()
            builder.bind(0, Int64(number % 100))
            // Short texts stand in the record, long ones elsewhere.
            builder.bind(1, String(repeating: "x", count: number % 40) + "\(number)")
            cursor.take(builder.row, of: 2)
        }
        func find() -> (id: UInt32, isNew: Bool) {
            key.load(cursor, [0, 1], isText: table.isText)
            return table.find(keys: key.columns)
        }
        for number in 0..<3_000 {
            turn(to: number)
            #expect(table.append(cursor, [0, 1]) == UInt32(number))
        }
        for number in 0..<3_010 {
            turn(to: number)
            let found = find()
            #expect(found.id == UInt32(number) && found.isNew == (number >= 3_000))
        }
        turn(to: 4_000)
        let last = table.append(cursor, [0, 1])
        #expect(find() == (last, false))
        table.reset()
        turn(to: 0)
        #expect(table.append(cursor, [0, 1]) == 0)
        #expect(find() == (0, false))
        #expect(table.count == 1)
    }
}
