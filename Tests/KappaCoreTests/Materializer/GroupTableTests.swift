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

    @Test("groups that are kept get new numbers in their order, and are found with their contents")
    func compacted() throws {
        let table = GroupTable(keyIsText: [false, true], stateBytes: 8)
        let place = GroupTable.stateOffset(keyParts: 2)
        let builder = PackedRowBuilder(cells: 2)
        let key = LoadedKey(parts: 2)
        func find(_ number: Int) -> (id: UInt32, isNew: Bool) {
            builder.begin()
            builder.bind(0, Int64(number % 100))
            // Short texts stand in the record, long ones elsewhere.
            builder.bind(1, String(repeating: "x", count: number % 40) + "\(number)")
            key.load(builder.row, from: 0, of: 2, isText: [false, true])
            return table.find(keys: key.columns)
        }
        for number in 0..<6_000 {
            let id = find(number).id
            table.record(id).storeBytes(of: Int64(number), toByteOffset: place, as: Int64.self)
        }
        let memoryBytes = table.memoryBytes
        let numbers = table.compact { $0 % 7 == 3 }
        #expect(table.memoryBytes < memoryBytes / 2)
        var kept = 0
        for number in stride(from: 3, to: 6_000, by: 7) {
            #expect(numbers[number] == UInt32(kept))
            kept += 1
        }
        #expect(table.count == kept)
        for number in 0..<6_000 {
            let (id, isNew) = find(number)
            #expect(isNew == (number % 7 != 3))
            guard !isNew else { continue }
            #expect(id == numbers[number])
            let state = table.record(id).load(fromByteOffset: place, as: Int64.self)
            #expect(state == Int64(number))
        }
    }
}
