/// Where a follower of a view begins.
package enum FollowStart: Sendable {
    /// With the present rows, as inserts.
    case rows
    /// With the next change.
    case now
    /// After a change, for a reader that may have received more changes than the one whose id it stored.
    case after(ChangeID)
    /// After a change, for a reader that has received no later one: it stores its rows and the id in one
    /// transaction.
    case exactlyAfter(ChangeID)

    package var isNow: Bool { if case .now = self { true } else { false } }
}

/// Where a follower resumes.
struct ResumePoint {
    let reader: VersionReader
    /// The switch that the reader may already have received in part; nil if there was none.
    var missed: Switch?

    struct Switch {
        /// The version that became live.
        let number: VersionNumber
        /// The number of the newest change in its feed at that moment.
        let feedStart: Int64
    }
}

extension FollowedVersions {
    /// Where a reader of a view can resume; nil if it has to begin again.
    ///
    /// A reader that has received more than it has stored may have received a part of the difference between
    /// two versions. After one switch this can be made good: the feed of the new version says which rows
    /// have changed since, and the difference of the two versions has the rest (decision 26). After more
    /// switches it cannot, as the rows of the versions in between may be gone.
    func resumePoint(
        _ view: String, after id: ChangeID, isExact: Bool
    ) throws(KappaError) -> ResumePoint? {
        // The version may have been dropped, or its file be another one that does not know the number.
        let reader: VersionReader
        do {
            reader = try self.reader(of: VersionID(view, id.version))
            guard try reader.keepsChanges(after: id.sequence) else { return nil }
        } catch {
            // A reader would otherwise begin again for nothing.
            if error.passes { throw error }
            return nil
        }
        if isExact { return ResumePoint(reader: reader) }
        let periods = try catalog.livePeriods(of: view)
        guard let live = periods.last,
            let index = periods.lastIndex(where: { $0.number == id.version })
        else { return nil }
        // The number at which a later period began was also that of the last change of an earlier one.
        let (first, isFirst) = (
            periods[index].feedStart, periods.firstIndex { $0.number == id.version } == index
        )
        guard isFirst ? id.sequence >= first : id.sequence > first else { return nil }
        switch periods.endIndex - index {
        case 1: return ResumePoint(reader: reader)
        case 2:
            let new = try self.reader(of: VersionID(view, live.number))
            guard try new.feedFloor() <= live.feedStart else { return nil }
            return ResumePoint(
                reader: reader,
                missed: .init(number: live.number, feedStart: live.feedStart))
        default: return nil
        }
    }
}

/// The files of the versions that are followed. All followers of a version share one connection.
final class FollowedVersions {
    private struct Shared {
        weak var reader: VersionReader?
    }

    let catalog: Catalog
    private var shared: [VersionID: Shared] = [:]

    init(_ catalog: Catalog) { self.catalog = catalog }

    func reader(of id: VersionID) throws(KappaError) -> VersionReader {
        if let reader = shared[id]?.reader { return reader }
        shared = shared.filter { $0.value.reader != nil }
        let reader = try catalog.folder.reader(id)
        shared[id] = Shared(reader: reader)
        return reader
    }

    /// For each followed version of a view, a number that changes with each commit.
    func changeCounters(of view: String) throws(KappaError) -> [VersionNumber: Int64] {
        var counters: [VersionNumber: Int64] = [:]
        for (id, entry) in shared where id.view == view {
            if let reader = entry.reader { counters[id.number] = try reader.changeCounter() }
        }
        return counters
    }
}
