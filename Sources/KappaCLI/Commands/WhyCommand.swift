import KappaCore

/// `kappa why`: explains how one row came about.
struct WhyCommand: Command {
    static let spec = CommandSpec(
        name: "why", summary: "the events that touched one row, and the row after each",
        discussion: """
            Replays the log for that row alone, up to the version's position, with the version's
            definition in this build. --versions shows two side by side and marks the first event
            after which their rows differ. Instead of a number, "build" means this build's
            definition, which may have no version yet. A version that another build made needs that
            build's program: --with. For a session, give the key that it has now: it is followed
            while it grows and merges. The whole log is read unless the view is `.indexed()`: then
            the version's index lists the events of the row.
            """,
        arguments: [ArgumentSpec(name: "VIEW", isView: true)],
        options: [
            OptionSpec(
                name: "--key", value: "JSON",
                summary: "the row's key: a value, or an array of its parts"),
            OptionSpec(name: "--table", value: "T", summary: "a table other than the first"),
            OptionSpec(name: "--versions", value: "A,B", summary: "two versions side by side"),
            OptionSpec(
                name: "--with", value: "PROGRAM",
                summary: "another build, for a version whose definition this one lacks"),
            OptionSpec(name: "--at", value: "OFFSET", summary: "only events below this offset"),
            OptionSpec(
                name: "--limit", value: "N",
                summary: "at most N events, and the one at which the versions diverge"),
        ],
        make: { try WhyCommand($0) })

    var stopsGently: Bool { true }
    private let view: VersionReference
    private let key: JSONValue
    private let keyText: String
    private let program: String?
    private let table: String?
    private let versions: [Choice]
    private let offset: Offset?
    private let limit: Int

    private enum Choice: Equatable {
        case number(VersionNumber)
        case build
    }

    init(_ arguments: ParsedArguments) throws(KappaError) {
        view = try VersionReference(arguments.positional[0])
        guard let key = try arguments.key("--key") else {
            throw KappaError(
                .usage, "kappa why lacks --key", because: "it explains one row",
                advice: "Name the row: kappa why \(view) --key '\"user_1\"'")
        }
        self.key = key
        keyText = arguments.string("--key") ?? ""
        program = arguments.string("--with")
        table = arguments.string("--table")
        offset = try arguments.offset("--at")
        limit = try arguments.integer("--limit") ?? .max
        versions = try arguments.string("--versions").map(Self.choices) ?? []
        if program != nil, versions.isEmpty {
            throw KappaError(
                .usage, "--with is for --versions",
                because: "another build explains one of two versions",
                advice: "Write --versions A,B too, or ask that program itself: kappa why \(view)")
        }
        if !versions.isEmpty, view.number != nil {
            throw KappaError(
                .usage, "\(view) names a version, and so does --versions",
                advice: "Write \(view.view) --versions A,B, or \(view) alone")
        }
    }

    private static func choices(_ text: String) throws(KappaError) -> [Choice] {
        var choices: [Choice] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let digits = part.split(separator: "@").last ?? part
            if part == "build" {
                choices.append(.build)
            } else if let number = Int(digits), number > 0 {
                choices.append(.number(VersionNumber(number)))
            }
        }
        guard choices.count == 2, choices[0] != choices[1],
            text.count(where: { $0 == "," }) == 1
        else {
            throw KappaError(
                .usage, "--versions \(text) cannot be used",
                because: "it takes the numbers of two versions, or one and the word build",
                advice: "Write --versions 1,2")
        }
        return choices
    }

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        let catalog = try Catalog(context.data)
        let definitions = ReplayDefinitions(catalog, context.views.comparable())
        let targets = try targets(catalog, definitions)
        let end = try offset ?? definitions.end(of: targets)
        let printer = WhyPrinter(targets.map(\.description), context.format)
        let progress = ScratchProgress("why")
        var printed = 0
        var divergence: Offset?
        // Print events up to the limit, and in any case the one at which the versions diverge.
        func tell(_ moment: WhyMoment) throws -> Bool {
            if moment.diverges { divergence = moment.offset }
            if printed < limit || moment.diverges {
                printed += 1
                try printer.print(moment)
            }
            return printed < limit || (targets.count == 2 && divergence == nil)
        }
        try progress.during {
            try replay(targets, definitions, to: end, context, progress, tell)
        }
        try printer.finish(printed, divergence, end, isCut: printed >= limit)
        return 0
    }

    private func targets(
        _ catalog: Catalog, _ definitions: ReplayDefinitions
    ) throws -> [CompareTarget] {
        if versions.isEmpty { return [try definitions.target(view)] }
        return try versions.map { choice in
            guard case .number(let number) = choice else { return .definition(view.view) }
            return .version(try catalog.resolve(VersionReference(view.view, number)).id)
        }
    }

    private func replay(
        _ targets: [CompareTarget], _ definitions: ReplayDefinitions, to end: Offset,
        _ context: Context, _ progress: ScratchProgress,
        _ tell: @escaping (WhyMoment) throws -> Bool
    ) throws {
        let first = try LogReader(context.data.log).firstOffset
        if first > .zero {
            Output.say(
                "kappa: the log was trimmed: it begins at offset \(first). What earlier events did to the "
                    + "row is not known here")
        }
        let known = targets.map { try? definitions.definition(of: $0) }
        let foreign = targets.indices.filter { known[$0] == nil }
        guard let program, foreign.count == 1, targets.count == 2,
            case .version(let id) = targets[foreign[0]], let own = known[1 - foreign[0]]
        else {
            let why = try Why(
                try targets.map { try definitions.definition(of: $0) }, key: key, table: table,
                to: end, in: context.data, versions: targets.map(\.version))
            if let reason = why.unusedIndex { Output.say("kappa: the log is read: \(reason)") }
            for (target, absence) in zip(targets, why.absences) { Self.say(absence, of: target) }
            return try why.run(progress: progress.show) { step in
                try tell(
                    WhyMoment(
                        offset: step.offset, event: step.event,
                        rows: zip(step.rows, why.schemas).map { row, schema in
                            row.flatMap { row in schema.map { WhyRow(row, $0) } }
                        }, diverges: step.diverges))
            }
        }
        // It is enough if one of the two can have a row with this key.
        let tables = try context.data.reader(id).tables
        let otherAbsence = Why.absence(of: key, table: table, in: tables)
        let ownAbsence = Why.absence(of: key, table: table, in: own.tables)
        if let otherAbsence, ownAbsence != nil { throw otherAbsence }
        Self.say(otherAbsence, of: targets[foreign[0]])
        Self.say(ownAbsence, of: targets[1 - foreign[0]])
        let why =
            ownAbsence != nil
            ? nil
            : try Why(
                [own], key: key, table: table, to: end, in: context.data,
                versions: [targets[1 - foreign[0]].version])
        var words = [
            "why", "\(id)", "--key", keyText, "--at", "\(end)", "--format", "json", "--data",
            context.data.path,
        ]
        if let table { words += ["--table", table] }
        let keys = tables.first { $0.name == table ?? $0.name }.map { schema in
            schema.keyColumns.map { schema.columns[$0].name }
        }
        let merge = try WhyMerge(
            otherAbsence == nil ? try OtherBuild(program, words) : nil, at: foreign[0],
            keys: keys ?? [], why?.schemas[0], log: context.data.log, tell)
        var isWanted = true
        try why?.run(progress: progress.show) { step in
            isWanted = try merge.add(step)
            return isWanted
        }
        if isWanted { try merge.finish() }
    }

    /// Reports why one of two versions cannot have the row.
    private static func say(_ absence: KappaError?, of target: CompareTarget) {
        guard let absence else { return }
        Output.say(
            "kappa: \(target) has no such row: \(absence.what)"
                + (absence.reason.map { "; \($0)" } ?? ""))
    }
}
