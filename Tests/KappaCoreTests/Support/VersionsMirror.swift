import Testing

@testable import KappaCore

/// Rows made from changes alone.
final class Mirror {
    private let follower: ChangeFollower
    private(set) var rows: [String: [String: String]] = [:]
    private(set) var changes = 0
    private(set) var promotions = 0
    private var version: VersionNumber?
    private var lastOffset = Offset.zero

    init(_ view: String, _ folder: VersionsFolder, from start: FollowStart = .rows) throws {
        follower = ChangeFollower(view, try folder.catalog(), from: start)
    }

    /// Only a rollback takes readers back.
    /// - Parameter most: How many changes to visit.
    func poll(mayGoBack: Bool = false, atMost most: Int? = nil) throws {
        _ = try follower.poll(atMost: most) { change in
            changes += 1
            if change.operation == .promoted {
                #expect(version == nil || change.previous == version, "\(change)")
                #expect(change.version != version)
                promotions += 1
                version = change.version
                lastOffset = change.offset
                return
            }
            if version == nil { version = change.version }
            #expect(change.version == version, "a change of a version that was not announced")
            #expect(mayGoBack || change.offset >= lastOffset)
            lastOffset = change.offset
            // A change's row before must be the result of the earlier changes.
            #expect(rows[change.table]?[change.key] == change.before, "\(change)")
            #expect((change.before == nil) == (change.operation == .insert))
            #expect((change.after == nil) == (change.operation == .delete))
            #expect(change.before != change.after, "nothing has changed: \(change)")
            rows[change.table, default: [:]][change.key] = change.after
        }
    }

    /// The rows of a version, in the form of changes.
    static func rows(_ reader: VersionReader) throws -> [String: [String: String]] {
        var rows: [String: [String: String]] = [:]
        for (index, table) in reader.tables.enumerated() {
            try reader.forEachRow(table: index) { cursor in
                let values = table.values(cursor)
                let key = table.keyColumns.map { values[$0].jsonText }.joined(separator: ",")
                rows[table.name, default: [:]]["[\(key)]"] = Change.object(values, table)
            }
        }
        return rows
    }
}

/// The last number of a key; a negative one deletes the row.
struct Latest: Codable, Equatable, Sendable {
    var value: Int
    var note: String?
}

func latest(_ digest: String, noting note: String? = nil) -> View<Latest> {
    View("latest", row: Latest.self, digest: digest) {
        On(Tick.self, key: \.k) { event, row in
            row = event.v < 0 ? nil : Latest(value: event.v, note: note)
        }
    }
}
