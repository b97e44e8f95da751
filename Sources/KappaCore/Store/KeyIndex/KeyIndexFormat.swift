/// How the index of a table's keys is stored, as a table of its own in the version's file.
///
/// A row is a chunk of one key's events, under the key's hash and the first of their offsets. It holds the
/// difference of each offset from the one before it and, where the view judges lateness, the stream time
/// before each event. Keys with the same hash share chunks, so a reader checks the key of each event.
/// Chunks are appended and never changed. One more row, the mark, says up to which offset the index holds
/// events.
enum KeyIndexFormat {
    /// No key has this hash. It is the smallest, so the mark sorts before all chunks.
    static let markHash: Int64 = -1
    static let columns = (hash: 0, first: 1, blob: 2)
    private static let number: UInt64 = 1
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
        guard (try? reader.readShort()) == number else { return nil }
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
                // The sign moves to the lowest bit (zigzag), so steps back are short, too.
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
