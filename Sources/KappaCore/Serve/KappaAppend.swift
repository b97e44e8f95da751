/// Appending events.
extension Kappa {
    /// Appends one event, or several of any types: all or none. When this returns, they are durable.
    ///
    /// Property names become snake_case; dictionary keys stay as they are. An event that could not be read
    /// back equal is refused.
    /// - Returns: The offset of the first one.
    /// - Throws: ``KappaError``: `.inputOutput` if the events could not be made durable; none of them then
    ///   counts as appended. `.badInput` if an event has a value that no reader takes (a number that is not
    ///   finite, a time beyond the year 9999, an integer beyond 64 bits, a `Date`), or if its
    ///   `encode(to:)` throws.
    @discardableResult
    public func append<First: Event & Encodable, each Other: Event & Encodable>(
        _ event: First, _ others: repeat each Other
    ) async throws -> Offset {
        var events: [any Event & Encodable] = [event]
        for other in repeat each others { events.append(other) }
        return try await append(events)
    }

    /// Appends events of any types, all or none. When this returns, they are durable.
    /// - Returns: The offset of the first one.
    /// - Throws: As for one event.
    @discardableResult
    public func append(_ events: [any Event & Encodable]) async throws -> Offset {
        try await appending { LogWriter.Append(try Self.lines(of: events)) }.firstOffset
    }

    /// Appends NDJSON text, one JSON object a line: all or none. When this returns, they are durable.
    /// - Returns: The offset of the first one.
    /// - Throws: ``KappaError``: `.badInput`, with line and column, if a line is not a JSON object.
    @discardableResult
    public func append(ndjson text: String) async throws -> Offset {
        try await appending { LogWriter.Append(try Self.lines(ndjson: text)) }.firstOffset
    }

    // MARK: From a source

    /// Appends events that a consumer of your own has read from somewhere, each exactly once: events, and how far the
    /// source was read, are written together, and what the log has already is skipped.
    ///
    /// ```swift
    /// let position = try await kappa.position(ofSource: "orders-queue")
    /// for try await batch in queue.batches(from: position) {
    ///     try await kappa.append(batch.events, source: "orders-queue", at: batch.position)
    /// }
    /// ```
    /// - Parameters:
    ///   - source: A name for where they come from.
    ///   - position: How many of the source's events come before the first of these.
    ///   - next: For a source whose positions have gaps, or in which several events have one position: the position
    ///     after these; `position` is then what ``position(ofSource:)`` returned. Nil if each event counts as one.
    /// - Throws: As for one event; `.badInput` if events between the log's last one of the source and these are
    ///   missing.
    @discardableResult
    public func append(
        _ events: [any Event & Encodable], source: String, at position: UInt64,
        next: UInt64? = nil
    ) async throws -> Appended {
        try SourceBatch.check(name: source)
        let result = try await appending {
            LogWriter.Append(
                try Self.lines(of: events),
                source: SourceBatch(name: source, position: position, next: next))
        }
        return Appended(result)
    }

    /// The same for NDJSON text.
    @discardableResult
    public func append(
        ndjson text: String, source: String, at position: UInt64, next: UInt64? = nil
    ) async throws -> Appended {
        try SourceBatch.check(name: source)
        let result = try await appending {
            LogWriter.Append(
                try Self.lines(ndjson: text),
                source: SourceBatch(name: source, position: position, next: next))
        }
        return Appended(result)
    }

    /// How far a source is in the log: the position at which its next events begin; 0 before its first.
    public func position(ofSource source: String) async throws -> UInt64 {
        try SourceBatch.check(name: source)
        let data = data
        return try await working { try LogWriter(data.log).sourcePoint(of: source).position }
    }

    // MARK: What they have in common

    func appending(
        _ make: () throws -> LogWriter.Append
    ) async throws -> LogWriter.AppendResult {
        try enter()
        defer { leave() }
        return try await appends.append(make)
    }

    static func lines(of events: [any Event & Encodable]) throws -> EventLines {
        var lines = EventLines()
        for event in events { lines.append(try EventLines(event: json(of: event))) }
        return lines
    }

    private static func lines(ndjson text: String) throws -> EventLines {
        var text = text
        return try text.withUTF8 { try EventLines(UnsafeRawBufferPointer($0)) }
    }

    /// An event's JSON, including the field that holds its type.
    package static func json<E: Event & Encodable>(of event: E) throws -> String {
        let encoded = try JSONValue(encoding: event, for: .event)
        guard case .object(var members) = encoded else {
            throw KappaError(
                .usage, "\(E.self) does not encode as an object",
                because: "events are JSON objects", advice: "Make it a struct")
        }
        let field = E.eventTypeField
        let given = members.first { $0.key == field }?.value
        switch (E.eventType, given) {
        case (let type?, nil): members.insert((field, .string(type)), at: 0)
        case (let type?, .string(let given)?) where given == type: break
        case (nil, nil): break
        case (let type, .some(let given)):
            throw KappaError(
                .badInput, "an event of type \(E.self) cannot be appended",
                at: "\(E.self), field \(field)",
                because: "it says \(given.json), and "
                    + (type.map { "events of this type say \"\($0)\"" }
                        ?? "events of this type have no such field"),
                advice: "Nothing was appended. Rename the property, or give the type another "
                    + "eventTypeField")
        }
        return JSONValue.object(members).json
    }
}

/// What has become of events from a source.
public struct Appended: Hashable, Sendable {
    /// The offset of the first event that was appended; equal to `nextOffset` if none was.
    public var firstOffset: Offset
    /// The offset after the last one.
    public var nextOffset: Offset
    /// How many were appended.
    public var appended: Int
    /// How many the log had already.
    public var skipped: Int

    init(_ result: LogWriter.AppendResult) {
        firstOffset = result.firstOffset
        nextOffset = result.nextOffset
        appended = result.appended
        skipped = result.skipped
    }
}
