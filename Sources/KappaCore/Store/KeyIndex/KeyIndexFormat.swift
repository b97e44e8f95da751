/// How the index of a table's keys is stored, as a table of its own in the version's file.
///
/// A row is a chunk of one key's events, under the key's hash and the first of their offsets. It holds the
/// difference of each offset from the one before it and, where the view judges lateness, the stream time
/// before each event. Keys with the same hash share chunks, so a reader checks the key of each event.
/// Chunks are appended and never changed. One more row, the mark, says up to which offset the index holds
/// events.
///
/// The keys of a small commit are all over the table, so chunks for each would rewrite most of its pages. A small
/// commit adds one row of recent events instead, of all keys in log order; when these have become many, one
/// commit turns them into chunks and deletes them.
enum KeyIndexFormat {
    /// No key has these hashes. They are the smallest, so these rows sort before all chunks.
    static let markHash: Int64 = -1
    static let recentHash: Int64 = -2
    static let columns = (hash: 0, first: 1, blob: 2)
    /// Format 2 has recent events.
    private static let number: UInt64 = 2
    /// Chunks are small enough that a page of the file holds several.
    static let chunkBytes = 1_000

    struct Entry: Equatable {
        var offset: UInt64
        /// The stream time before the event; `Int64.min` where it does not matter.
        var streamTime = Int64.min
    }

    static func mark(_ end: Offset) -> [UInt8] {
        var writer = StateWriter()
        writer.write(short: number)
        writer.write(short: end.rawValue)
        return writer.bytes
    }

    /// The offset up to which the index holds events; nil for an unknown format.
    static func end(ofMark blob: UnsafeRawBufferPointer) -> Offset? {
        var reader = StateReader(blob)
        guard let found = try? reader.readShort(), (1...number).contains(found) else { return nil }
        return (try? reader.readShort()).map { Offset($0) }
    }

    /// The bytes of one chunk while it is being built.
    struct Chunk {
        private(set) var first: UInt64 = 0
        private var last = Entry(offset: 0, streamTime: 0)
        private var state = StateWriter()
        private(set) var isEmpty = true
        private let keepsTimes: Bool

        init(keepsTimes: Bool) { self.keepsTimes = keepsTimes }

        var isFull: Bool { state.bytes.count >= KeyIndexFormat.chunkBytes }
        var bytes: [UInt8] { state.bytes }
        /// Whether an event has just been added.
        func isLast(_ entry: Entry) -> Bool { !isEmpty && entry.offset == last.offset }

        mutating func removeAll() {
            state.removeAll()
            (isEmpty, last) = (true, Entry(offset: 0, streamTime: 0))
        }

        /// - Parameter entry: At a larger offset than the one before.
        @inline(__always)
        mutating func add(_ entry: Entry) {
            if isEmpty {
                first = entry.offset
            } else {
                state.write(short: entry.offset - last.offset)
            }
            if keepsTimes {
                let step = entry.streamTime &- last.streamTime
                state.write(short: KeyIndexFormat.zigzag(step))
            }
            (isEmpty, last) = (false, entry)
        }
    }

    /// An event with the hash of a key that it touched.
    struct Recent: Equatable {
        var hash: UInt32
        var entry: Entry
    }

    /// The blob of recent events.
    /// - Parameter first: The offset under which the row is stored.
    static func recent(_ events: some Sequence<Recent>, from first: UInt64) -> [UInt8] {
        var writer = StateWriter()
        var last = Entry(offset: first, streamTime: 0)
        for event in events {
            writer.write(event.hash)
            // Several handlers of a batch run one after the other, so offsets may step back.
            writer.write(short: zigzag(Int64(bitPattern: event.entry.offset &- last.offset)))
            writer.write(short: zigzag(event.entry.streamTime &- last.streamTime))
            last = event.entry
        }
        return writer.bytes
    }

    /// The recent events of a row, in the order in which they were added.
    static func recent(
        from first: UInt64, _ blob: UnsafeRawBufferPointer
    ) throws(KappaError) -> [Recent] {
        var reader = StateReader(blob)
        var events: [Recent] = []
        var last = Entry(offset: first, streamTime: 0)
        while !reader.isAtEnd {
            let hash = try reader.readWord()
            last.offset &+= UInt64(bitPattern: unzigzag(try reader.readShort()))
            last.streamTime &+= unzigzag(try reader.readShort())
            events.append(Recent(hash: hash, entry: last))
        }
        return events
    }

    /// The sign moves to the lowest bit, so steps back are short, too.
    private static func zigzag(_ step: Int64) -> UInt64 {
        UInt64(bitPattern: step << 1 ^ step >> 63)
    }
    private static func unzigzag(_ step: UInt64) -> Int64 {
        Int64(bitPattern: step >> 1) ^ -Int64(bitPattern: step & 1)
    }

    /// The events of a chunk.
    static func entries(
        from first: UInt64, _ blob: UnsafeRawBufferPointer, keepsTimes: Bool
    ) throws(KappaError) -> [Entry] {
        var reader = StateReader(blob)
        var entry = Entry(offset: first, streamTime: keepsTimes ? 0 : .min)
        var entries: [Entry] = []
        repeat {
            if !entries.isEmpty { entry.offset &+= try reader.readShort() }
            if keepsTimes {
                entry.streamTime &+= unzigzag(try reader.readShort())
            }
            entries.append(entry)
        } while !reader.isAtEnd
        return entries
    }
}
