/// Iterates over the events that a version's key index has for a key, in log order.
final class KeyIndexCursor {
    /// The current event; nil after the last.
    private(set) var entry: KeyIndexFormat.Entry?
    private var hashes: [HashCursor] = []

    /// - Parameter reader: Holds one snapshot for as long as the cursor is used.
    init(
        _ reader: VersionReader, _ place: KeyPlace, hashes: [UInt32]
    ) throws(KappaError) {
        for hash in Set(hashes) {
            self.hashes.append(
                try HashCursor(
                    reader.keyIndexChunks(
                        ofTable: place.table, hash: hash, keepsTimes: place.indexKeepsTimes)))
        }
        settle()
    }

    /// Advances to the first event after an offset.
    func advance(past offset: UInt64) throws(KappaError) {
        for index in hashes.indices {
            while let entry = hashes[index].entry, entry.offset <= offset {
                try hashes[index].next()
            }
        }
        settle()
    }

    private func settle() {
        entry = hashes.compactMap(\.entry).min { $0.offset < $1.offset }
    }

    /// The events under one hash, chunk by chunk.
    private struct HashCursor {
        private let chunks: KeyIndexChunks
        private var entries: [KeyIndexFormat.Entry] = []
        private var place = 0

        init(_ chunks: KeyIndexChunks) throws(KappaError) {
            self.chunks = chunks
            try load()
        }

        var entry: KeyIndexFormat.Entry? { place < entries.count ? entries[place] : nil }

        mutating func next() throws(KappaError) {
            place += 1
            if place >= entries.count { try load() }
        }

        private mutating func load() throws(KappaError) {
            place = 0
            entries = try chunks.next() ?? []
        }
    }
}
