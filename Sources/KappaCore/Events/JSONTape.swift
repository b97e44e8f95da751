/// The values of one JSON text, one after another in memory, as its parser meets them.
///
/// A node of an object is followed by a node for the name and nodes for the value of each member, one of an
/// array by those of its elements. Nothing is copied out of the text, and the memory is used again for the
/// next text.
struct JSONTape {
    enum Kind: UInt8 { case null, yes, no, number, string, escaped, array, object }

    struct Node {
        var kind: Kind
        /// Where its text begins and how long it is; for a string, without the quotes.
        var start: Int32
        var length: Int32 = 0
        /// How many members or elements it has.
        var count: Int32 = 0
        /// The node after this value and all that it contains.
        var next: Int32 = 0
        /// Of a name, or of all names of an object in their order.
        var hash: UInt32 = 0
    }

    private(set) var text = UnsafeRawPointer(bitPattern: 1)
    private var count = 0
    private var at = 0
    private var nodes: UnsafeMutablePointer<Node>
    private var capacity = 64
    private(set) var used = 0

    init() { nodes = .allocate(capacity: capacity) }

    func deallocate() { nodes.deallocate() }

    @inline(__always)
    subscript(node: Int) -> Node { nodes[node] }

    /// The text of a number, or of a string without escapes.
    @inline(__always)
    func bytes(_ node: Int) -> UnsafeRawBufferPointer {
        let node = nodes[node]
        return UnsafeRawBufferPointer(
            start: text.map { $0 + Int(node.start) }, count: Int(node.length))
    }

    /// Parses a text.
    /// - Returns: Whether it could. What ``JSONValue`` does not parse, it does not parse either, and it leaves
    ///   very deep values to it.
    mutating func parse(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let start = bytes.baseAddress, bytes.count < Int(Int32.max) else { return false }
        (text, count, at, used) = (start, bytes.count, 0, 0)
        guard value(0) else { return false }
        skipSpace()
        return at == count
    }

    @inline(__always)
    private func byte(_ at: Int) -> UInt8 {
        text.unsafelyUnwrapped.load(fromByteOffset: at, as: UInt8.self)
    }

    @inline(__always)
    private mutating func skipSpace() {
        while at < count {
            let next = byte(at)
            guard next == 0x20 || next == 0x0A || next == 0x0D || next == 0x09 else { return }
            at += 1
        }
    }

    @inline(__always)
    private mutating func add(_ kind: Kind, at start: Int) -> Int {
        if used == capacity { grow() }
        (nodes + used).initialize(to: Node(kind: kind, start: Int32(start)))
        used += 1
        return used - 1
    }

    private mutating func grow() {
        let larger = UnsafeMutablePointer<Node>.allocate(capacity: capacity * 2)
        larger.moveInitialize(from: nodes, count: used)
        nodes.deallocate()
        (nodes, capacity) = (larger, capacity * 2)
    }

    private mutating func value(_ depth: Int) -> Bool {
        skipSpace()
        guard at < count, depth <= ValueDecoder.mostLevels else { return false }
        switch byte(at) {
        case UInt8(ascii: "{"): return object(depth)
        case UInt8(ascii: "["): return array(depth)
        case UInt8(ascii: "\""): return string()
        case UInt8(ascii: "t"): return word("true", .yes)
        case UInt8(ascii: "f"): return word("false", .no)
        case UInt8(ascii: "n"): return word("null", .null)
        default: return number()
        }
    }

    private mutating func word(_ word: StaticString, _ kind: Kind) -> Bool {
        let length = word.utf8CodeUnitCount
        guard at + length <= count else { return false }
        for index in 0..<length where byte(at + index) != word.utf8Start[index] { return false }
        let node = add(kind, at: at)
        at += length
        nodes[node].next = Int32(used)
        return true
    }

    private mutating func number() -> Bool {
        let start = at
        if byte(at) == UInt8(ascii: "-") { at += 1 }
        let first = at
        guard digits() else { return false }
        if byte(first) == UInt8(ascii: "0"), at > first + 1 { return false }
        if at < count, byte(at) == UInt8(ascii: ".") {
            at += 1
            guard digits() else { return false }
        }
        if at < count, byte(at) | 0x20 == UInt8(ascii: "e") {
            at += 1
            if at < count, byte(at) == UInt8(ascii: "+") || byte(at) == UInt8(ascii: "-") {
                at += 1
            }
            guard digits() else { return false }
        }
        let node = add(.number, at: start)
        nodes[node].length = Int32(at - start)
        nodes[node].next = Int32(used)
        return true
    }

    @inline(__always)
    private mutating func digits() -> Bool {
        let start = at
        while at < count, byte(at) &- 0x30 < 10 { at += 1 }
        return at > start
    }

    private mutating func array(_ depth: Int) -> Bool {
        let node = add(.array, at: at)
        at += 1
        var elements: Int32 = 0
        skipSpace()
        if at < count, byte(at) == UInt8(ascii: "]") {
            at += 1
        } else {
            repeat {
                guard value(depth + 1) else { return false }
                elements += 1
                skipSpace()
            } while takeComma()
            guard at < count, byte(at) == UInt8(ascii: "]") else { return false }
            at += 1
        }
        nodes[node].count = elements
        nodes[node].next = Int32(used)
        return true
    }

    private mutating func object(_ depth: Int) -> Bool {
        let node = add(.object, at: at)
        at += 1
        var members: Int32 = 0
        var hash: UInt32 = 0
        skipSpace()
        if at < count, byte(at) == UInt8(ascii: "}") {
            at += 1
        } else {
            repeat {
                skipSpace()
                let name = used
                guard at < count, byte(at) == UInt8(ascii: "\""), string() else { return false }
                skipSpace()
                guard at < count, byte(at) == UInt8(ascii: ":") else { return false }
                at += 1
                let own = Self.hash(self.bytes(name))
                nodes[name].hash = own
                hash = (hash &* 31) &+ own
                guard value(depth + 1) else { return false }
                members += 1
                skipSpace()
            } while takeComma()
            guard at < count, byte(at) == UInt8(ascii: "}") else { return false }
            at += 1
        }
        nodes[node].count = members
        nodes[node].hash = hash
        nodes[node].next = Int32(used)
        return true
    }

    @inline(__always)
    private mutating func takeComma() -> Bool {
        guard at < count, byte(at) == UInt8(ascii: ",") else { return false }
        at += 1
        return true
    }

    private static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        var hash = UInt64(bytes.count)
        func mix(_ word: UInt64) {
            hash = (hash ^ word) &* 0x9E37_79B9_7F4A_7C15
            hash ^= hash >> 29
        }
        var at = 0
        while at + 8 <= bytes.count {
            mix(bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            at += 8
        }
        var rest: UInt64 = 0
        while at < bytes.count {
            rest = rest << 8 | UInt64(bytes[at])
            at += 1
        }
        mix(rest)
        return UInt32(truncatingIfNeeded: hash >> 16)
    }

    /// Whether no name of an object occurs twice. It may say no if two have the same hash, if one has an
    /// escape, or if there are very many.
    func hasDistinctNames(_ object: Int) -> Bool {
        let (count, end) = (Int(nodes[object].count), Int(nodes[object].next))
        guard count <= 64 else { return hasDistinctNames(ofMany: object) }
        var name = object + 1
        while name < end {
            guard nodes[name].kind == .string else { return false }
            var other = object + 1
            while other < name {
                if nodes[other].hash == nodes[name].hash { return false }
                other = Int(nodes[other + 1].next)
            }
            name = Int(nodes[name + 1].next)
        }
        return true
    }

    private func hasDistinctNames(ofMany object: Int) -> Bool {
        var hashes: Set<UInt32> = []
        var name = object + 1
        while name < Int(nodes[object].next) {
            guard nodes[name].kind == .string, hashes.insert(nodes[name].hash).inserted else {
                return false
            }
            name = Int(nodes[name + 1].next)
        }
        return true
    }

    // MARK: Strings

    private mutating func string() -> Bool {
        at += 1
        let start = at
        var isASCII = true
        var isEscaped = false
        while at < count {
            let next = byte(at)
            if next == UInt8(ascii: "\"") { break }
            if next < 0x20 { return false }
            if next >= 0x80 { isASCII = false }
            if next == UInt8(ascii: "\\") {
                isEscaped = true
                at += 1
            }
            at += 1
        }
        guard at < count else { return false }
        let node = add(isEscaped ? .escaped : .string, at: start)
        nodes[node].length = Int32(at - start)
        at += 1
        nodes[node].next = Int32(used)
        if isEscaped { return unescaped(node) != nil }
        return isASCII || String(validating: bytes(node), as: UTF8.self) != nil
    }

    /// The contents of a string with escapes; nil if it is not well-formed.
    private func unescaped(_ node: Int) -> String? {
        let quoted = bytes(node)
        let whole = UnsafeRawBufferPointer(
            start: quoted.baseAddress.map { $0 - 1 }, count: quoted.count + 2)
        guard case .string(let text)? = try? JSONValue(parsing: whole) else { return nil }
        return text
    }

    /// The contents of a string or a name.
    @inline(__always)
    func string(_ node: Int) -> String {
        nodes[node].kind == .string
            ? ShortText.maker.string(bytes(node)) : unescaped(node) ?? ""
    }
}
