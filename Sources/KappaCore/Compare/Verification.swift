/// Whether a version has the rows that its definition makes of the log.
package struct Verification: Equatable, Sendable {
    /// What is wrong.
    package enum Fault: String, Sendable {
        /// Two replays of the definition diverge: it depends on something other than the events.
        case definition
        /// The replays agree with each other, and the version's file differs from them.
        case store
        /// The log cannot be read up to the version's position.
        case log
    }

    package let id: VersionID
    /// The version's committed position, at which it is compared.
    package fileprivate(set) var position = Offset.zero
    package fileprivate(set) var rows = 0
    package fileprivate(set) var fault: Fault?
    /// The first event at which two replays were seen to diverge.
    package fileprivate(set) var offset: Offset?
    /// The first differences: between the two replays for ``Fault/definition``; between the file and the
    /// replays, in this order, for ``Fault/store``.
    package fileprivate(set) var findings: [Discrepancy] = []
    package fileprivate(set) var differences = 0
    /// Why the log or the file could not be read, or why they do not belong together.
    package fileprivate(set) var error: KappaError?

    package var isSound: Bool { fault == nil }

    /// How many findings are kept.
    package static let mostFindings = 20

    fileprivate init(_ id: VersionID) { self.id = id }
}

/// Replays a version's definition aside, twice and in different ways, and compares the results.
package struct Verifier {
    /// Replays in another process of the same program, where hashes have another seed. `progress` is
    /// called as in ``ScratchVersion``.
    package typealias Elsewhere =
        @Sendable (_ replay: Replay, _ progress: @escaping ScratchVersion.Progress) throws -> Void

    private let catalog: Catalog
    private let views: ViewSet
    private let elsewhere: Elsewhere?
    private let progress: ScratchVersion.Progress
    private var folder: DataFolder { catalog.folder }

    /// - Parameters:
    ///   - elsewhere: Does the second replay; if nil, this process does it too.
    ///   - progress: Called on the caller's thread; an error that it throws ends the work.
    package init(
        _ catalog: Catalog, _ views: ViewSet, elsewhere: Elsewhere? = nil,
        progress: @escaping ScratchVersion.Progress = { _, _ in }
    ) {
        self.catalog = catalog
        self.views = views
        self.elsewhere = elsewhere
        self.progress = progress
    }

    /// Verifies the version that a reference means.
    /// - Throws: `.notFound` if this build does not have its definition.
    package func verify(_ reference: VersionReference) throws -> Verification {
        let entry = try catalog.resolve(reference)
        let definition = try views.definition(of: entry)
        try folder.requireReplay(of: entry.id)
        var result = Verification(entry.id)
        let scratch = try ScratchFolder(folder)
        guard let stored = try examine(entry, scratch, &result) else { return result }
        let pair = ReplayPair(in: scratch, 0)
        do {
            try replay(pair, of: entry.id, to: result.position, definition)
        } catch let error as KappaError where error.code == .damaged {
            result.fault = .log
            result.error = error
            return result
        }
        if let finding = try firstFinding(pair) {
            pair.remove()
            let search = PartingSearch(
                in: scratch, end: result.position,
                replay: { try replay($0, of: entry.id, to: $1, definition) },
                compare: firstFinding)
            let parting = try search.run(finding)
            result.fault = .definition
            result.offset = parting.offset
            result.findings = [parting.finding]
            result.differences = 1
        } else {
            try compare(stored, try VersionReader(pair.here), &result)
        }
        return result
    }

    // MARK: The version's own file

    /// A snapshot of the version's file; nil if something is wrong with it, which is then in the result.
    private func examine(
        _ entry: VersionEntry, _ scratch: ScratchFolder, _ result: inout Verification
    ) throws -> VersionReader? {
        do {
            let stored = try open(entry.id, scratch)
            let checkpoint = try stored.checkpoint()
            result.position = checkpoint.offset
            for table in stored.tables.indices { result.rows += try stored.rowCount(table: table) }
            if let complaint = try stored.structureComplaint() {
                throw KappaError(
                    .damaged, "the file of \(entry.id) is damaged", at: folder.file(entry.id),
                    because: complaint)
            }
            guard stored.digest == entry.digest else {
                throw KappaError(
                    .damaged, "the file of \(entry.id) is of another definition",
                    at: folder.file(entry.id),
                    because: "its digest is \(stored.digest), the catalog says \(entry.digest)")
            }
            return try isOfThisLog(checkpoint, entry.id, &result) ? stored : nil
        } catch let error as KappaError where error.tellsOfDamage {
            result.fault = .store
            result.error = error
            return nil
        }
    }

    /// Copies a version that a process writes to: a long read of the original would make its write-ahead log
    /// grow.
    private func open(_ id: VersionID, _ scratch: ScratchFolder) throws -> VersionReader {
        let reader = try folder.reader(id)
        if Lease.holder(of: id, in: folder) != nil {
            return try VersionReader(try scratch.copy(reader))
        }
        try reader.hold()
        return reader
    }

    private func isOfThisLog(
        _ checkpoint: Checkpoint, _ id: VersionID, _ result: inout Verification
    ) throws -> Bool {
        do {
            let log = try LogReader(folder.log)
            let end = try log.durableEnd()
            guard checkpoint.offset <= end else {
                throw KappaError(
                    .damaged, "the log has lost events that \(id) has applied", at: folder.log,
                    because: "the log ends at offset \(end), the version is at "
                        + "\(checkpoint.offset)")
            }
            let digest = try log.digest(at: checkpoint.offset)
            if digest == checkpoint.digest { return true }
            result.fault = .store
            result.error = KappaError(
                .damaged, "\(id) did not apply exactly the events of the log",
                at: "\(folder.file(id)), offset \(checkpoint.offset)",
                because: "it applied \(checkpoint.digest.bytes) bytes, the log has "
                    + "\(digest.bytes) below that offset, or their checksums differ")
        } catch let error as KappaError where error.code == .damaged {
            result.fault = .log
            result.error = error
        }
        return false
    }

    private func compare(
        _ stored: VersionReader, _ replayed: VersionReader, _ result: inout Verification
    ) throws {
        do {
            let list = try Discrepancy.List(stored, replayed, most: Verification.mostFindings)
            result.findings = list.findings
            result.differences = list.count
            if list.count > 0 { result.fault = .store }
        } catch let error as KappaError where error.tellsOfDamage || error.code == .refused {
            result.fault = .store
            result.error = error
        }
    }

    // MARK: Replays

    private func firstFinding(_ pair: ReplayPair) throws -> Discrepancy? {
        try Discrepancy.List(
            VersionReader(pair.here), VersionReader(pair.there), most: 1, stopsThere: true
        ).findings.first
    }

    /// The other way to replay: small batches, frequent commits, and little memory.
    private static let hurried: ReplayWay = {
        var way = ReplayWay()
        way.batchEvents = 1_009
        way.commitMilliseconds = 200
        way.memoryBytes = 1 << 26
        return way
    }()

    /// How far the replay on the other thread is.
    private struct Other {
        var offset = Offset.zero
        var isStopped = false
        var result: Result<Void, any Error>?
    }

    /// Advances both files of a pair to an offset, in parallel on two threads: the first one here, the second
    /// one elsewhere.
    private func replay(
        _ pair: ReplayPair, of id: VersionID, to end: Offset, _ definition: ViewDefinition
    ) throws {
        let other = Monitor(Other())
        let there = Replay(id, file: pair.there, end: end)
        let folder = folder
        let work = elsewhere ?? { try $0.run(definition, in: folder, progress: $1) }
        let thread = try WorkerThread("kappa-verify") {
            let result = Result {
                try work(there) { done, _ in
                    try other.withLock { other in
                        other.offset = done
                        if other.isStopped { throw Stopped() }
                    }
                }
            }
            other.withLock { $0.result = result }
        }
        let here = Result {
            try Replay(id, file: pair.here, end: end, way: Self.hurried)
                .run(definition, in: folder) { done, end in
                    try progress(min(done, other.withLock { $0.offset }), end)
                }
            while other.withLock({ $0.result == nil }) {
                try progress(other.withLock { $0.offset }, end)
                Pause.briefly()
            }
        }
        if case .failure = here { other.withLock { $0.isStopped = true } }
        thread.join()
        try here.get()
        try other.withLock { $0.result }?.get()
    }

    /// Ends the second replay: the first one has failed, or was interrupted.
    private struct Stopped: Error {}
}

extension ViewSet {
    /// The definition of a version.
    /// - Throws: `.notFound` if this build does not have it.
    package func definition(of entry: VersionEntry) throws(KappaError) -> ViewDefinition {
        let views = workedOut()
        if let error = views.error(of: entry.id.view) { throw error }
        let all = views.sound
        if let own = all.first(where: { $0.name == entry.id.view && $0.digest == entry.digest }) {
            return own
        }
        let other = all.first { $0.name == entry.id.view }
        throw KappaError(
            .notFound, "this build does not have the definition of \(entry.id)",
            because: other.map {
                "its \(entry.id.view) has the digest \($0.digest), the version has "
                    + entry.digest
            } ?? "it defines no view \(entry.id.view)",
            advice: "Use the build that made it; `kappa views` and `kappa status` show the digests")
    }
}

extension KappaError {
    /// Whether this is how reading fails if the file is not as kappa wrote it.
    fileprivate var tellsOfDamage: Bool { code == .damaged || code == .usage || code == .bug }
}
