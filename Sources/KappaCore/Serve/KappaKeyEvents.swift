/// An event of the log.
public struct LogEvent: Hashable, Sendable {
    /// Where it is in the log.
    public var offset: Offset
    /// Its JSON, as it was appended.
    public var json: String

    /// The event as one of its types; nil if it is of another type.
    /// - Throws: ``KappaError``, `.badInput`, if it is of this type and cannot be decoded.
    public func decode<E: Event>(as type: E.Type) throws -> E? {
        do {
            let value = try JSONValue(parsing: json)
            if let own = value[E.eventTypeField] {
                guard case .string(let name) = own, name == E.eventType else { return nil }
            } else if E.eventType != nil {
                return nil
            }
            return try ValueDecoder(value).decode(type)
        } catch {
            throw KappaError(
                .badInput, "an event cannot be read as \(E.self)", at: "offset \(offset)",
                because: FieldFailure.reason(error), advice: "Give the type the event's fields")
        }
    }
}

/// The events of one key, and how far the log was read for them.
public struct KeyHistory: Hashable, Sendable {
    /// The events, in the order of the log.
    public var events: [LogEvent]
    /// The offset after the last event that was read: what an append is conditional on.
    public var end: Offset
}

/// An append was refused, since other events of its key came first. Nothing was appended.
public struct AppendConflict: Error, Hashable, Sendable, CustomStringConvertible {
    /// The view by whose keys the append was judged.
    public var view: String
    /// The key, as JSON.
    public var key: String
    /// The offset since which nothing was to have changed.
    public var since: Offset
    /// The events of the key that came since, in the order of the log.
    public var events: [LogEvent]

    /// In one sentence.
    public var description: String {
        "nothing was appended: \(events.count) event\(events.count == 1 ? "" : "s") of key \(key) of view "
            + "\(view) came since offset \(since), the first at offset "
            + "\(events.first?.offset.description ?? "?")"
    }
}

/// An event store's two operations: load what happened to one thing, and append what happens next unless
/// something else has happened to it meanwhile.
extension Kappa {
    /// The events of one key of a view's first table, in the order of the log: those from which its row is made.
    ///
    /// If the view is ``View/indexed()`` and its live version was built by this build, they are looked up. Otherwise
    /// the log is read, which takes as long as reading it does.
    /// - Parameter start: Events before this offset are left out.
    /// - Throws: ``KappaError``: `.notFound` if the view is not one of this `Kappa`'s; `.usage` if the table has no
    ///   such keys, or if its rows depend on events of other keys, as in joins and rankings.
    public func events(
        of view: some AnyView, key: RowKey, from start: Offset = .zero
    ) async throws -> KeyHistory {
        let finder = try KeyEvents(workedOut.definition(of: view.name), key: key, in: data)
        let (data, name) = (data, view.name)
        return try await working {
            let end = try LogReader(data.log).durableEnd()
            let found = try finder.find(from: start, to: end, version: Self.live(name, data))
            return KeyHistory(events: found.map { LogEvent($0) }, end: end)
        }
    }

    /// Appends events only if none of a key has been appended since an offset: optimistic concurrency.
    ///
    /// ```swift
    /// let history = try await kappa.events(of: orders, key: RowKey("o-1"))
    /// let order = try Order(replaying: history.events)
    /// try await kappa.append(
    ///     [order.ship()], ifUnchangedSince: history.end, forKey: RowKey("o-1"), of: orders)
    /// ```
    /// The log is read up to its end before; while it is locked, only what came since is judged, so that other
    /// appends hardly wait.
    /// - Parameters:
    ///   - offset: As ``KeyHistory/end`` says.
    ///   - key: A key of the view's first table.
    /// - Returns: The offset of the first event.
    /// - Throws: ``AppendConflict`` with the events that came in between. ``KappaError`` as for other appends; `.usage`
    ///   as for ``events(of:key:from:)``; `.refused` if so many events came since that they would have to be read
    ///   from the log: more than 100,000 that no live version of an indexed view has.
    @discardableResult
    public func append(
        _ events: [any Event & Encodable], ifUnchangedSince offset: Offset, forKey key: RowKey,
        of view: some AnyView
    ) async throws -> Offset {
        let finder = try KeyEvents(workedOut.definition(of: view.name), key: key, in: data)
        let lines = try Self.lines(of: events)
        let (data, name) = (data, view.name)
        var looked = offset
        var refusal: KappaError?
        for _ in 0..<Self.mostLooks {
            let start = looked
            let (end, between) = try await working {
                let end = try LogReader(data.log).durableEnd()
                if start > end { throw Self.pastEnd(start, end) }
                let found = try finder.find(
                    from: start, to: end, version: Self.live(name, data),
                    mostScanned: KeyEvents.mostScanned)
                return (end, found.map { LogEvent($0) })
            }
            if !between.isEmpty {
                throw AppendConflict(view: name, key: key.json, since: offset, events: between)
            }
            looked = end
            let condition = AppendCondition(from: end) { try finder.judge() }
            do {
                return try await appending {
                    LogWriter.Append(lines, condition: condition)
                }.firstOffset
            } catch let error as KappaError where error.code == .refused {
                // Look again: the event that came in between is in the log now, unless its append failed.
                refusal = error
            }
        }
        throw refusal ?? KappaError(.bug, "an append was not tried")
    }

    /// How often an append is tried while more and more events come in between.
    private static let mostLooks = 20

    private static func live(_ view: String, _ data: DataFolder) throws -> VersionID? {
        try Catalog(data).live(view).map { VersionID(view, $0) }
    }

    private static func pastEnd(_ offset: Offset, _ end: Offset) -> KappaError {
        KappaError(
            .notFound, "offset \(offset) is past the end of the log",
            because: "the log ends at \(end)",
            advice: "Nothing was appended. Give the end that events(of:key:) returned")
    }
}

extension LogEvent {
    fileprivate init(_ found: KeyEvents.Found) {
        self.init(offset: found.offset, json: found.event)
    }
}
