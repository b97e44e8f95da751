import CKappaJSON

/// The elements of one side of a join in memory, over their table.
///
/// The elements of a key are a chain in log order. Numbers of elements that are gone are used again.
final class JoinRows<Element: ViewRow>: JoinSide, StateTable {
    private struct Node {
        var meta: JoinMeta
        var key: UInt32
        /// Neighbours in the chain of the key, plus one; 0 for none.
        var next: UInt32 = 0
        var previous: UInt32 = 0
        var isStored = false
        var isDirty = false
        var isInHeap = false
        var isThere = true
    }

    private let codec: RowCodec<Element>
    private let key: (Element, Int64) throws -> JoinKey
    /// One record for each key; its state is the first and the last element's number plus one.
    private let keys: GroupTable
    private let keyIsText: Bool
    private let scratch = UnsafeMutablePointer<Int64>.allocate(capacity: 2)
    private let textScratch = UnsafeMutablePointer<kj_string>.allocate(capacity: 1)
    private let keyColumns: [KeyColumn]
    private let elements = StateMemory<Element?>(empty: nil)
    private var nodes: [Node] = []
    private var free: [UInt32] = []
    private var dirty: [UInt32] = []
    private var gone: [JoinMeta] = []
    /// Elements by time, oldest on top, for as long as any are to be forgotten by time.
    private var oldest = TimeHeap()
    private var expires = false
    private static var stateOffset: Int { GroupTable.stateOffset(keyParts: 2) }

    /// - Parameter key: The key of an element with an event time in microseconds.
    init(
        kind: ColumnKind, key: @escaping (Element, Int64) throws -> JoinKey
    ) throws(KappaError) {
        codec = try RowCodec()
        self.key = key
        keyIsText = kind == .text || kind == .json
        keys = GroupTable(keyIsText: [keyIsText, false], stateBytes: 8)
        scratch.initialize(repeating: 0, count: 2)
        textScratch.initialize(to: kj_string())
        keyColumns = [
            keyIsText ? .texts(UnsafePointer(textScratch)) : .integers(UnsafePointer(scratch)),
            .integers(UnsafePointer(scratch + 1)),
        ]
    }

    deinit {
        scratch.deallocate()
        textScratch.deallocate()
    }

    // MARK: Keys

    /// The record of a key, made if it is new.
    private func record(_ key: JoinKey) -> UInt32 {
        scratch[1] = key.window
        switch key.value {
        case .text(var text), .json(var text):
            return text.withUTF8 { bytes in
                let data = UnsafeRawPointer(bytes.baseAddress)?.assumingMemoryBound(
                    to: CChar.self)
                textScratch.pointee = kj_string(
                    data: data, length: UInt32(bytes.count), hash: kj_hash(data, bytes.count))
                return keys.find(keys: keyColumns).id
            }
        case .integer(let value): scratch[0] = value
        case .timestamp(let time): scratch[0] = time.microseconds
        case .bool(let bool): scratch[0] = bool ? 1 : 0
        case .null, .double, .decimal: scratch[0] = 0
        }
        return keys.find(keys: keyColumns).id
    }

    private func first(_ record: UInt32) -> UInt32 {
        keys.record(record).load(fromByteOffset: Self.stateOffset, as: UInt32.self)
    }
    private func last(_ record: UInt32) -> UInt32 {
        keys.record(record).load(fromByteOffset: Self.stateOffset + 4, as: UInt32.self)
    }
    private func set(_ record: UInt32, first: UInt32) {
        keys.record(record).storeBytes(
            of: first, toByteOffset: Self.stateOffset, as: UInt32.self)
    }
    private func set(_ record: UInt32, last: UInt32) {
        keys.record(record).storeBytes(
            of: last, toByteOffset: Self.stateOffset + 4, as: UInt32.self)
    }

    // MARK: Elements

    func forEach(
        _ key: JoinKey, _ body: (UInt32, Element, JoinMeta) throws -> Void
    ) rethrows {
        var next = first(record(key))
        while next != 0 {
            let number = next - 1
            let node = nodes[Int(number)]
            next = node.next
            if let element = elements[Int(number)] { try body(number, element, node.meta) }
        }
    }

    func insert(_ element: Element, key: JoinKey, _ meta: JoinMeta) throws -> UInt32 {
        let number = place(try codec.settled(element), key: key, meta)
        nodes[Int(number)].isDirty = true
        dirty.append(number)
        return number
    }

    private func place(_ element: Element, key: JoinKey, _ meta: JoinMeta) -> UInt32 {
        let record = record(key)
        var node = Node(meta: meta, key: record)
        node.previous = last(record)
        let number: UInt32
        if let reused = free.popLast() {
            number = reused
            nodes[Int(number)] = node
        } else {
            number = UInt32(nodes.count)
            nodes.append(node)
            elements.grow(to: nodes.count)
        }
        elements[Int(number)] = element
        if node.previous != 0 {
            nodes[Int(node.previous - 1)].next = number + 1
        } else {
            set(record, first: number + 1)
        }
        set(record, last: number + 1)
        if expires { push(number) }
        return number
    }

    func setMatched(_ number: UInt32) {
        guard !nodes[Int(number)].meta.isMatched else { return }
        nodes[Int(number)].meta.isMatched = true
        if !nodes[Int(number)].isDirty {
            nodes[Int(number)].isDirty = true
            dirty.append(number)
        }
    }

    func remove(_ number: UInt32) {
        let node = nodes[Int(number)]
        guard node.isThere else { return }
        nodes[Int(number)].isThere = false
        if node.previous != 0 {
            nodes[Int(node.previous - 1)].next = node.next
        } else {
            set(node.key, first: node.next)
        }
        if node.next != 0 {
            nodes[Int(node.next - 1)].previous = node.previous
        } else {
            set(node.key, last: node.previous)
        }
        elements[Int(number)] = nil
        if node.isStored { gone.append(node.meta) }
        recycle(number)
    }

    /// Lets a number be used again, once no list holds it.
    private func recycle(_ number: UInt32) {
        let node = nodes[Int(number)]
        if !node.isThere, !node.isDirty, !node.isInHeap { free.append(number) }
    }

    private func push(_ number: UInt32) {
        oldest.insert(nodes[Int(number)].meta.time, number)
        nodes[Int(number)].isInHeap = true
    }

    func removeAll(upTo time: Int64) {
        if !expires {
            expires = true
            for number in nodes.indices where nodes[number].isThere { push(UInt32(number)) }
        }
        while let number = oldest.pop(upTo: time) {
            nodes[Int(number)].isInHeap = false
            if nodes[Int(number)].isThere { remove(number) } else { recycle(number) }
        }
    }

    // MARK: The table

    func load(_ cursor: any RowCursor) throws {
        let element = try codec.decode(cursor, at: TableSchema.joinSideColumns)
        let meta = JoinMeta(
            offset: cursor.integer(0), part: cursor.integer(1), time: cursor.integer(2),
            isMatched: cursor.integer(3) != 0)
        let number = place(element, key: try key(element, meta.time), meta)
        nodes[Int(number)].isStored = true
    }

    func write(upsert: any RowWriter, delete: any RowWriter) throws {
        gone.sort { ($0.offset, $0.part) < ($1.offset, $1.part) }
        for meta in gone {
            delete.bind(0, meta.offset)
            delete.bind(1, meta.part)
            try delete.execute()
        }
        dirty.removeAll { number in
            let node = nodes[Int(number)]
            guard !node.isThere else { return false }
            nodes[Int(number)].isDirty = false
            recycle(number)
            return true
        }
        dirty.sort {
            let (a, b) = (nodes[Int($0)].meta, nodes[Int($1)].meta)
            return (a.offset, a.part) < (b.offset, b.part)
        }
        for number in dirty {
            guard let element = elements[Int(number)] else { continue }
            let meta = nodes[Int(number)].meta
            upsert.bind(0, meta.offset)
            upsert.bind(1, meta.part)
            upsert.bind(2, meta.time)
            upsert.bind(3, meta.isMatched ? Int64(1) : 0)
            try withUnsafePointer(to: element) {
                try codec.bind($0, to: upsert, at: TableSchema.joinSideColumns)
            }
            try upsert.execute()
        }
    }

    func committed() {
        for number in dirty {
            nodes[Int(number)].isStored = true
            nodes[Int(number)].isDirty = false
        }
        dirty.removeAll(keepingCapacity: true)
        gone.removeAll(keepingCapacity: true)
        compact()
    }

    /// Forgets the keys that have no elements any more, where they are most.
    private func compact() {
        let count = nodes.count - free.count
        guard keys.count > 4_096, keys.count > 4 * count else { return }
        let live = nodes.indices.filter { nodes[$0].isThere }.sorted {
            let (a, b) = (nodes[$0].meta, nodes[$1].meta)
            return (a.offset, a.part) < (b.offset, b.part)
        }
        let kept = live.compactMap { number in
            elements[number].map { ($0, nodes[number].meta) }
        }
        keys.reset()
        elements.reset()
        nodes.removeAll()
        free.removeAll()
        oldest = TimeHeap()
        for (element, meta) in kept {
            // A key that was made once is made again.
            guard let key = try? key(element, meta.time) else { continue }
            nodes[Int(place(element, key: key, meta))].isStored = true
        }
    }

    var memoryBytes: Int {
        keys.memoryBytes + nodes.count * (MemoryLayout<Node>.stride + rowBytes)
    }
    /// An estimate: what an element points to is counted as one short text.
    private var rowBytes: Int { MemoryLayout<Element?>.stride + 32 }
    var dirtyRows: Int { dirty.count + gone.count }
}

/// Numbers by time: a binary heap with the oldest on top.
struct TimeHeap {
    private var entries: [(time: Int64, number: UInt32)] = []

    mutating func insert(_ time: Int64, _ number: UInt32) {
        entries.append((time, number))
        var child = entries.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            if entries[parent].time <= entries[child].time { return }
            entries.swapAt(parent, child)
            child = parent
        }
    }

    /// Takes the oldest number out, if its time is `time` or earlier.
    mutating func pop(upTo time: Int64) -> UInt32? {
        guard let top = entries.first, top.time <= time else { return nil }
        entries.swapAt(0, entries.count - 1)
        entries.removeLast()
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < entries.count else { return top.number }
            if child + 1 < entries.count, entries[child + 1].time < entries[child].time {
                child += 1
            }
            if entries[parent].time <= entries[child].time { return top.number }
            entries.swapAt(parent, child)
            parent = child
        }
    }
}
