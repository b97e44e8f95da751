/// Finds the event on which a view's code crashes, and fails the version.
///
/// A crash stamps the version's crash mark with the events in progress: a batch, or what was being committed.
/// The next start applies these events again to that version alone, in smaller and smaller pieces, until one
/// single event crashes. The code cannot take this event, and the version has failed. A process killed from
/// outside leaves no stamp, and no event is suspected.
enum CrashRecovery {
    /// A part of the log that a suspect version applies alone.
    struct Stretch: Equatable {
        var end: Offset
        /// The most events of a batch; nil for the size of the log's blocks.
        var batchEvents: Int?
        /// Whether a crash here is due to the suspect events.
        var isSuspect: Bool
    }

    /// The stretches in which a version applies the events up to and including those of a stamp.
    /// - Parameters:
    ///   - offset: The version's position.
    ///   - limit: Where the version is to stop in any case.
    static func stretches(
        past stamp: CrashStamp, from offset: Offset, limit: Offset?
    ) -> [Stretch] {
        let end = min(stamp.end, limit ?? stamp.end)
        let first = max(stamp.first, offset)
        guard first < end else { return [] }
        var stretches: [Stretch] = []
        if offset < first { stretches.append(Stretch(end: first, isSuspect: false)) }
        let count = end - first
        switch stamp.stage {
        case .opening, .applying, .judging, .learning:
            let size = count <= 512 ? 1 : (count + 255) / 256
            stretches.append(Stretch(end: end, batchEvents: size, isSuspect: true))
        case .committing:
            // Each piece is committed, so there are fewer of them.
            let size = (count + 63) / 64
            var at = first
            while at < end {
                at = min(at + size, end)
                stretches.append(Stretch(end: at, isSuspect: true))
            }
        }
        return stretches
    }

    /// Whether a version's code has crashed, so that it has to be resumed alone.
    static func isSuspect(_ id: VersionID, in folder: DataFolder) -> Bool {
        CrashStamp.read(folder.crashMark(id))?.stamp != nil
    }

    /// The stamp that proves on which event a version's code crashes. Nil if there is none, or if it is from
    /// another build of the program, in which case this build may try.
    package static func proof(of id: VersionID, in folder: DataFolder) -> CrashStamp? {
        guard let stamp = CrashStamp.read(folder.crashMark(id))?.stamp, stamp.isProof,
            stamp.isOfThisProgram
        else { return nil }
        return stamp
    }

    /// The version of a definition that has failed because its code crashed, if no other version of the
    /// definition can be used.
    static func failed(
        _ definition: ViewDefinition, _ catalog: Catalog
    ) throws(KappaError) -> (entry: VersionEntry, stamp: CrashStamp)? {
        let same = try catalog.entries(of: definition.name).filter {
            $0.digest == definition.digest && !catalog.hasLostFile($0)
        }
        guard let entry = same.first(where: \.isLive) ?? same.last,
            let stamp = proof(of: entry.id, in: catalog.folder)
        else { return nil }
        return (entry, stamp)
    }

    /// The crash that prevents a runner from working on a version, or from building one.
    static func crash(
        of target: VersionTarget, _ definition: ViewDefinition, _ catalog: Catalog, rebuilds: Bool
    ) throws(KappaError) -> (entry: VersionEntry, stamp: CrashStamp)? {
        if let id = target.id {
            guard let stamp = proof(of: id, in: catalog.folder),
                let entry = try catalog.entries(of: id.view).first(where: { $0.id == id })
            else { return nil }
            return (entry, stamp)
        }
        if !rebuilds { return try failed(definition, catalog) }
        // A requested rebuild is tried once.
        guard let own = try own(definition, catalog) else { return nil }
        return proof(of: own.id, in: catalog.folder).map { (own, $0) }
    }

    /// The version that this run of the program had begun to rebuild when its code crashed.
    private static func own(
        _ definition: ViewDefinition, _ catalog: Catalog
    ) throws(KappaError) -> VersionEntry? {
        let run = CrashMark.run.load(ordering: .relaxed)
        guard run != 0 else { return nil }
        return try catalog.entries(of: definition.name).last {
            $0.digest == definition.digest
                && CrashStamp.read(catalog.folder.crashMark($0.id))?.run == run
        }
    }

    /// The error of a version that has failed because its code crashed.
    static func error(_ id: VersionID, _ stamp: CrashStamp, in folder: DataFolder) -> KappaError {
        error(
            id.view, at: "\(id), offset \(stamp.first)", stamp, in: folder,
            advice: "Fix the view's code: a changed build tries again; "
                + "`kappa rebuild \(id.view)` builds a new version with this one")
    }

    /// The error of a replay aside that has crashed.
    /// - Parameter name: The name of the definition, if the view has several.
    static func error(
        aside definition: ViewDefinition, _ name: String?, _ stamp: CrashStamp,
        in folder: DataFolder
    ) -> KappaError {
        let replay = "a replay aside" + (name.map { " of \($0)" } ?? "")
        return error(
            definition.name, at: "\(replay), offset \(stamp.first)", stamp, in: folder,
            advice: "Fix the view's code")
    }

    private static func error(
        _ view: String, at place: String, _ stamp: CrashStamp, in folder: DataFolder, advice: String
    ) -> KappaError {
        let what =
            switch stamp.stage {
            case .opening, .learning: "the code of view \(view) crashes when its state is read"
            case .applying, .judging:
                "the code of view \(view) crashes on event \(stamp.first) of the log"
            case .committing:
                "the code of view \(view) crashes when its rows are committed after event "
                    + "\(stamp.first) of the log"
            }
        let text = stamp.end > stamp.first ? event(at: stamp.first, in: folder) : nil
        return KappaError(
            .bug, what, at: place,
            because: stamp.signalText + (text.map { "; the event is \($0)" } ?? ""),
            advice: advice)
    }

    /// An event in a form that any terminal or log can show: one short line without control characters.
    private static func event(at offset: Offset, in folder: DataFolder) -> String? {
        guard let reader = try? LogReader(folder.log) else { return nil }
        let picker = EventPicker(reader)
        // The bytes are the picker's.
        defer { withExtendedLifetime(picker) {} }
        guard let picked = try? picker.event(at: offset) else { return nil }
        var text = ""
        for (count, scalar) in String(decoding: picked.line.dropLast(), as: UTF8.self)
            .unicodeScalars.enumerated()
        {
            if count == mostCharacters { return text + "…" }
            text.unicodeScalars.append(isPlain(scalar) ? scalar : "\u{FFFD}")
        }
        return text
    }

    private static let mostCharacters = 200

    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned: false
        default: true
        }
    }
}
