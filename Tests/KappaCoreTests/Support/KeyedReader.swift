import KappaTesting
import Testing

@testable import KappaCore

/// A reader that keeps rows by table and key, stores an id, and may be killed at any change.
final class KeyedReader {
    /// How it stores what it has received.
    enum Kind {
        /// Each row at once, the last id now and then: what it has is ahead of the id.
        case loose
        /// Rows and id in one transaction.
        case exact
    }

    typealias Rows = [String: [String: String]]

    let view: String
    let kind: Kind
    private let folder: VersionsFolder
    private var follower: ChangeFollower?
    /// What survives a kill.
    private(set) var rows: Rows = [:]
    private(set) var stored: ChangeID?
    /// What an exact reader has not committed yet.
    private var pending: Rows?
    private(set) var resets = 0
    private(set) var resumptions = 0

    init(_ view: String, _ kind: Kind, _ folder: VersionsFolder) {
        (self.view, self.kind, self.folder) = (view, kind, folder)
    }

    /// All that is not stored is lost.
    func kill() {
        follower = nil
        pending = nil
        if stored == nil { rows = [:] }
    }

    /// Takes changes; false if there were none. Where the feed no longer has what it needs, it starts again.
    func read(
        atMost most: Int, _ random: inout SplitMix, _ comment: Comment
    ) throws -> Bool {
        if follower == nil {
            if stored != nil { resumptions += 1 }
            let start: FollowStart =
                switch (stored, kind) {
                case (nil, _): .rows
                case (let id?, .loose): .after(id)
                case (let id?, .exact): .exactlyAfter(id)
                }
            follower = ChangeFollower(view, try folder.catalog(), from: start)
        }
        var chance = random
        defer { random = chance }
        do {
            return try follower?.poll(atMost: most) { take($0, &chance, comment) } ?? false
        } catch let error as KappaError where error.code == .notFound {
            kill()
            return true
        }
    }

    private func take(_ change: Change, _ random: inout SplitMix, _ comment: Comment) {
        var now = pending ?? rows
        switch change.operation {
        case .promoted: break
        case .reset:
            resets += 1
            now = [:]
        case .insert, .update, .delete: now[change.table, default: [:]][change.key] = change.after
        }
        switch kind {
        case .loose:
            rows = now
            if let id = change.id, Int.random(in: 0..<4, using: &random) == 0 { stored = id }
        case .exact:
            pending = now
            // The same id again means: there is more to come before rows and id agree.
            if let id = change.id, id != stored {
                (rows, stored, pending) = (now, id, nil)
            }
        }
    }

    /// The rows without tables that have become empty.
    var present: Rows { rows.filter { !$0.value.isEmpty } }
    var hasPending: Bool { pending != nil }
}
