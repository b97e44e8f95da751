/// Where the log's events of a rotated file end, and what comes after.
///
/// The place is found by comparing: inode numbers are used again, and a copy has another one. The digest that
/// the log has of the source proves each event up to the place.
struct FilePlace {
    /// The file in which the place is, and those that came after it, the oldest first.
    var files: [GrowingFile]
    /// All files that there were.
    var known: [OpenFile]

    /// Finds the place in a file, or in one that it was before it was rotated.
    /// - Returns: Nil if it is not there.
    /// - Throws: `.badInput` if several files could be the one.
    static func find(_ path: String, _ history: SourceHistory) throws(KappaError) -> FilePlace? {
        var found: [FilePlace] = []
        // The files may be rotated while they are compared.
        for _ in 0..<4 {
            found = try FilePlaceSearch(path, history).find()
            if found.count == 1 { return found[0] }
            Pause.forALook()
        }
        if found.count > 1 { throw RotatedFiles.uncertain(found.map { $0.files[0].path }) }
        return nil
    }

    /// The error for a place that is not found.
    static func missing(_ path: String, _ history: SourceHistory) throws(KappaError) -> KappaError {
        let search = try FilePlaceSearch(path, history)
        // Where there is only one file, its line is known.
        if search.files.count == 1, let difference = try search.difference(0) {
            return difference
        }
        let names = search.files.map(\.path)
        let isNone = names.isEmpty
        return KappaError(
            .badInput, "the place in source \(history.name) is not found", at: path,
            because: (isNone ? "there is no file" : "no event of \(names.joined(separator: ", "))")
                + (isNone ? "" : " follows the last ones that were read")
                + "; the log has its events up to position \(history.position)",
            advice:
                "Nothing was appended. If a rotated file was removed or compressed, put it back "
                + "beside \(path) and pull again; or pull the files that are there as another "
                + "source, with --source NAME")
    }
}

/// The search for a place among the files that there are.
private struct FilePlaceSearch {
    let files: [OpenFile]
    private let history: SourceHistory
    private let position: FilePosition
    /// Has passed nothing yet.
    private let proof: SourceProof

    init(_ path: String, _ history: SourceHistory) throws(KappaError) {
        self.history = history
        files = try RotatedFiles.open(path)
        position = FilePosition(history.position)
        proof = try Self.proof(history, of: history.position)
    }

    private static func proof(
        _ history: SourceHistory, of end: UInt64
    ) throws(KappaError) -> SourceProof {
        // A file of this release has a digest at each of its positions.
        let point =
            end == history.position && history.point.eventsPast == 0
            ? history.point : SourcePoint(end, digest: history.digest)
        return try SourceProof(
            history.log, history.name, upTo: point, from: FilePosition(end).start.rawValue)
    }

    /// The places that there may be; more than one where files begin with the same events.
    func find() throws(KappaError) -> [FilePlace] {
        var found: [(first: Int, place: FilePlace)] = []
        for first in files.indices {
            // A file without events begins nothing.
            if try GrowingFile(files[first]).hasNoEvent() { continue }
            if case .found(let place) = try place(first) { found.append((first, place)) }
        }
        var proven: [FilePlace] = []
        if found.count > 1 {
            for candidate in found where try followsTheOneBefore(candidate.first) {
                proven.append(candidate.place)
            }
        }
        return proven.count == 1 ? proven : found.map(\.place)
    }

    /// The refusal that names the line where a file differs from the log; nil if it is too short.
    func difference(_ first: Int) throws(KappaError) -> KappaError? {
        guard case .differs(let error) = try place(first) else { return nil }
        return error
    }

    private enum Outcome {
        case found(FilePlace)
        /// The refusal of the line that differs.
        case differs(KappaError)
        /// The files have fewer events.
        case ends
    }

    /// Compares the events of the files from `first` on with the log's events of the present file. An import of
    /// several files may have put all of them there.
    private func place(_ first: Int) throws(KappaError) -> Outcome {
        var proof = proof
        for index in files.indices[first...] {
            var file = GrowingFile(files[index])
            do throws(KappaError) {
                try Self.pass(&file, &proof)
            } catch {
                guard error.code == .badInput else { throw error }
                return .differs(error)
            }
            if proof.position == proof.known {
                return .found(
                    FilePlace(
                        files: [file] + files[(index + 1)...].map { GrowingFile($0) },
                        known: files))
            }
        }
        return .ends
    }

    /// Whether the file before one, which was read before it, is as it was read.
    private func followsTheOneBefore(_ first: Int) throws(KappaError) -> Bool {
        guard let before = proof.before else { return false }
        var earlier = try Self.proof(history, of: before)
        for index in files.indices[..<first].reversed() {
            var file = GrowingFile(files[index])
            if try file.hasNoEvent() { continue }
            do throws(KappaError) { try Self.pass(&file, &earlier) } catch {
                guard error.code == .badInput else { throw error }
                return false
            }
            let isWhole = try file.hasNoEvent()
            return isWhole && earlier.position == earlier.known
        }
        return false
    }

    /// Compares a file's events with those that the log has.
    private static func pass(
        _ file: inout GrowingFile, _ proof: inout SourceProof
    ) throws(KappaError) {
        while proof.position < proof.known {
            var bytes = try file.lines(upTo: nil)
            if bytes.isEmpty { bytes = try file.rest(upTo: nil) }
            let piece = NDJSON.end(
                ofEvents: Int(clamping: proof.known - proof.position), in: bytes)
            if piece.lines == 0 { return }
            let text = bytes[..<piece.end]
            let events = NDJSON.unchecked(Array(text))
            let lines = file.line..<(file.line + piece.lines)
            try proof.compare(events, text, at: "\(file.path), line", lines)
            proof.pass(events)
            file.take(text, lines: piece.lines)
        }
    }
}
