/// What must hold of the events that were appended since a caller looked at the log, for its own to be written.
///
/// The log knows nothing of events but their text, so the caller judges them. It looks at most of the log before it
/// asks for the append; the writer then shows it only what came since, while nobody else can append.
package struct AppendCondition: Sendable {
    /// Whether an event, with its line, offset and run, forbids the append.
    typealias Judge = (UnsafeRawBufferPointer, Offset, IngestionRun) throws -> Bool

    /// The offset up to which the caller has looked itself.
    let from: Offset
    /// Makes the judge, on the thread that commits.
    let judge: @Sendable () throws -> Judge

    /// If more events than this came since, the caller has to look again: the log must not be held up.
    static let mostJudged = 1_000

    /// The events of earlier requests in the same commit, which are not in the log yet.
    typealias Written = [(first: Offset, lines: EventLines)]

    /// Why the append is refused; nil if it may be written.
    /// - Parameter end: The log's end before the commit.
    func refusal(
        in folder: String, to end: Offset, written: Written
    ) throws(KappaError) -> KappaError? {
        do {
            if end <= from, written.isEmpty { return nil }
            if end - from > Self.mostJudged {
                return Self.conflict("more than \(Self.mostJudged) events came in between")
            }
            let judge = try judge()
            if end > from {
                let picker = EventPicker(try LogReader(folder))
                for offset in from.rawValue..<end.rawValue {
                    let picked = try picker.event(at: Offset(offset))
                    if try judge(picked.line, Offset(offset), picked.run) {
                        return Self.conflict("the event at offset \(offset) came in between")
                    }
                }
            }
            for (first, lines) in written {
                if let offset = try Self.first(of: lines, at: first, judge) {
                    return Self.conflict("the event at offset \(offset) comes in between")
                }
            }
            return nil
        } catch let error as KappaError { throw error } catch {
            throw KappaError(
                .refused, "an append's condition cannot be judged", because: "\(error)",
                advice: "Nothing was appended")
        }
    }

    /// The first event that forbids the append.
    private static func first(
        of lines: EventLines, at first: Offset, _ judge: Judge
    ) throws -> Offset? {
        try lines.bytes.withUnsafeBytes { bytes in
            var found: Offset?
            var failure: (any Error)?
            EventLines.forEachLine(bytes) { line, number in
                if found != nil || failure != nil { return }
                do {
                    let offset = first + number
                    if try judge(line, offset, IngestionRun(events: 1, ingestedAtMicros: 0)) {
                        found = offset
                    }
                } catch { failure = error }
            }
            if let failure { throw failure }
            return found
        }
    }

    private static func conflict(_ reason: String) -> KappaError {
        KappaError(
            .refused, "the events of a key have changed", because: reason,
            advice: "Nothing was appended. Read the key's events again, decide, and append again")
    }
}
