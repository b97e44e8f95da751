import CKappa
import CSQLite

/// Text functions with the same results as SQLite's own. SQLite's take time proportional to the product of
/// their arguments' lengths, a minute for two texts of a megabyte; these take the sum.
extension SQLFunctions {
    static func addTexts(to connection: SQLiteConnection) {
        define("instr", 2, on: connection) { call throws(SQLFailure) in instr(call) }
        define("replace", 3, on: connection) { [unowned connection] call throws(SQLFailure) in
            replace(call, on: connection)
        }
        let sides: [(String, Bool, Bool)] = [
            ("trim", true, true), ("ltrim", true, false), ("rtrim", false, true),
        ]
        for (name, left, right) in sides {
            define(name, 2, on: connection) { call throws(SQLFailure) in
                trim(call, left: left, right: right)
            }
        }
    }

    /// Where the second text begins in the first, counted in characters from 1, in bytes where both are
    /// blobs; 0 where it does not.
    private static func instr(_ call: SQLCall) {
        if call.isNull(0) || call.isNull(1) { return call.giveNull() }
        let areBlobs = call.type(0) == SQLITE_BLOB && call.type(1) == SQLITE_BLOB
        let text = areBlobs ? call.blob(0) : call.bytes(0)
        let part = areBlobs ? call.blob(1) : call.bytes(1)
        guard let found = place(of: part, in: text, from: 0) else { return call.give(Int64(0)) }
        let before = text[..<found]
        call.give(1 + Int64(areBlobs ? found : before.count(where: CharacterSet.begins)))
    }

    /// `memmem` takes the sum of the lengths (Crochemore and Perrin's two-way search).
    private static func place(
        of part: UnsafeRawBufferPointer, in text: UnsafeRawBufferPointer, from start: Int
    ) -> Int? {
        if part.isEmpty { return start }
        guard let base = text.baseAddress, let wanted = part.baseAddress, start < text.count,
            let found = kappa_find(base + start, text.count - start, wanted, part.count)
        else { return nil }
        return found - base
    }

    private static func replace(_ call: SQLCall, on connection: SQLiteConnection) {
        if call.isNull(0) || call.isNull(1) { return call.giveNull() }
        let (text, part) = (call.bytes(0), call.bytes(1))
        if part.isEmpty { return sqlite3_result_value(call.context, call.value(0)) }
        if call.isNull(2) { return call.giveNull() }
        let new = call.bytes(2)
        let most = Int(sqlite3_limit(connection.handle, SQLITE_LIMIT_LENGTH, -1))
        // Count first, so that the result is written once, into exactly the memory that it needs.
        var count = 0
        var start = 0
        while let found = place(of: part, in: text, from: start) {
            count += 1
            start = found + part.count
        }
        let size = text.count + count * (new.count - part.count)
        guard size <= most else { return sqlite3_result_error_toobig(call.context) }
        let result = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, size), alignment: 1)
        defer { result.deallocate() }
        var end = 0
        func add(_ bytes: UnsafeRawBufferPointer) {
            UnsafeMutableRawBufferPointer(rebasing: result[end...]).copyMemory(from: bytes)
            end += bytes.count
        }
        start = 0
        while let found = place(of: part, in: text, from: start) {
            add(UnsafeRawBufferPointer(rebasing: text[start..<found]))
            add(new)
            start = found + part.count
        }
        add(UnsafeRawBufferPointer(rebasing: text[start...]))
        call.give(utf8: UnsafeRawBufferPointer(rebasing: result[..<size]))
    }

    /// Removes the characters of the second text from the ends of the first.
    private static func trim(_ call: SQLCall, left: Bool, right: Bool) {
        if call.isNull(0) || call.isNull(1) { return call.giveNull() }
        let taken = CharacterSet(call.bytes(1))
        var rest = call.bytes(0)[...]
        while left, !rest.isEmpty {
            let end = rest.dropFirst().firstIndex(where: CharacterSet.begins) ?? rest.endIndex
            guard taken.contains(rest[..<end]) else { break }
            rest = rest[end...]
        }
        while right, !rest.isEmpty {
            let start = rest.lastIndex(where: CharacterSet.begins) ?? rest.startIndex
            guard taken.contains(rest[start...]) else { break }
            rest = rest[..<start]
        }
        call.give(utf8: UnsafeRawBufferPointer(rebasing: rest))
    }

    /// A set of characters. SQLite splits a text at each byte that begins one, and so does this.
    private struct CharacterSet {
        typealias Bytes = Slice<UnsafeRawBufferPointer>
        private var single = [Bool](repeating: false, count: 256)
        private var several: Set<[UInt8]> = []

        init(_ text: UnsafeRawBufferPointer) {
            var rest = text[...]
            while !rest.isEmpty {
                let end = rest.dropFirst().firstIndex(where: Self.begins) ?? rest.endIndex
                if end == rest.startIndex + 1 {
                    single[Int(rest[rest.startIndex])] = true
                } else {
                    several.insert(Array(rest[..<end]))
                }
                rest = rest[end...]
            }
        }

        /// In UTF-8 all bytes of a character but the first begin with the bits 10.
        static func begins(_ byte: UInt8) -> Bool { byte & 0xC0 != 0x80 }

        func contains(_ character: Bytes) -> Bool {
            character.count == 1
                ? single[Int(character[character.startIndex])]
                : several.contains(Array(character))
        }
    }
}

extension SQLCall {
    /// A text by its bytes.
    func give(utf8 bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress else { return give("") }
        sqlite3_result_text64(
            context, start.assumingMemoryBound(to: CChar.self), UInt64(bytes.count), Self.copied,
            UInt8(SQLITE_UTF8))
    }
}
