/// How an index of a table's keys stands in its own table of the version's file.
///
/// A row is a chunk of the events of one key, under the key's hash and the first of their offsets: how far
/// each offset is from the one before it and, where the view judges lateness, the stream time before the
/// event. Keys of the same hash share their chunks: whoever reads them looks at each event's key.
/// Chunks are appended and never changed. One row more, the mark, tells up to which offset events are
/// in the index.
enum KeyIndexFormat {
    /// The hash of no key, and the least: the mark stands before all chunks.
    static let markHash: Int64 = -1
    static let columns = (hash: 0, first: 1, blob: 2)
    private static let number: UInt64 = 1
    /// Chunks stay so small that a page of the file holds several.
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

    /// Up to where events are in the index; nil for a format that is not known.
    static func end(ofMark blob: UnsafeRawBufferPointer) -> Offset? {
        var reader = StateReader(blob)
        guard (try? reader.readShort()) == number else { return nil }
        return (try? reader.readShort()).map { Offset($0) }
    }

    /// The bytes of one chunk while it is made.
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
                // The sign goes to the lowest bit: steps back are short, too.
                state.write(short: UInt64(bitPattern: step << 1 ^ step >> 63))
            }
            (isEmpty, last) = (false, entry)
        }
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
                let step = try reader.readShort()
                entry.streamTime &+= Int64(bitPattern: step >> 1) ^ -Int64(bitPattern: step & 1)
            }
            entries.append(entry)
        } while !reader.isAtEnd
        return entries
    }
}
