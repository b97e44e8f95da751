import KappaCore

/// `kappa diff`: compares two versions at the same position.
struct DiffCommand: Command {
    static let spec = CommandSpec(
        name: "diff", summary: "compares two versions of a view, row by row, at one position",
        discussion: """
            If one version lags, a copy of it is brought forward for the comparison. VIEW without a
            number is the live version. As the second argument, it is this build's definition if that
            has no version yet: it is built aside and then dropped. --at compares both as of that
            offset. --key and --where apply to the view's first table, or to the one of --table.
            Ends with 1 if the versions differ.
            """,
        arguments: [
            ArgumentSpec(name: "VIEW@A", isView: true), ArgumentSpec(name: "VIEW@B", isView: true),
        ],
        options: [
            OptionSpec(name: "--at", value: "OFFSET", summary: "compares as of an older offset"),
            OptionSpec(
                name: "--tolerance", value: "X",
                summary: "doubles and decimals that are at most X apart are the same"),
            OptionSpec(
                name: "--ignore", value: "COLUMN", summary: "does not compare a column",
                repeats: true),
            OptionSpec(name: "--table", value: "T", summary: "compares this table only"),
            OptionSpec(name: "--key", value: "JSON", summary: "compares the row of one key"),
            OptionSpec(
                name: "--where", value: "SQL",
                summary: "only rows for which this is true in either version"),
            OptionSpec(name: "--limit", value: "N", summary: "prints at most N differences"),
            OptionSpec(name: "--summary", summary: "prints the counts only"),
            OptionSpec(
                name: "--html", value: "FILE", summary: "writes the result as a page of HTML"),
        ],
        make: { try DiffCommand($0) })

    var stopsGently: Bool { true }
    private let old: VersionReference
    private let new: VersionReference
    private let offset: Offset?
    private var options = Diff.Options()
    private let limit: Int
    private let isSummary: Bool
    private let page: String?
    private let keyText: String?

    init(_ arguments: ParsedArguments) throws(KappaError) {
        old = try VersionReference(arguments.positional[0])
        new = try VersionReference(arguments.positional[1])
        offset = try arguments.offset("--at")
        options.tolerance = try arguments.double("--tolerance") ?? 0
        options.ignored = Set(arguments.strings("--ignore"))
        options.table = arguments.string("--table")
        options.key = try arguments.key("--key")
        keyText = arguments.string("--key")
        options.condition = arguments.string("--where")
        isSummary = arguments.has("--summary")
        page = arguments.string("--html")
        // A page has its own sample of rows, so with a page rows are only printed if --limit asks for them.
        let limit = try arguments.integer("--limit")
        self.limit = isSummary ? 0 : limit ?? (page == nil ? .max : 0)
        guard old.view == new.view else {
            throw KappaError(
                .usage, "\(old) and \(new) are of different views",
                because: "a diff compares two versions of one view")
        }
    }

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        let progress = ScratchProgress("aside")
        let alignment = try progress.during {
            let (first, second) = try targets(context)
            return try Alignment(
                first, second, at: offset, in: context.data, context.views,
                progress: progress.show)
        }
        let summary = try compare(alignment, context)
        withExtendedLifetime(alignment) {}
        return summary.isSame ? 0 : 1
    }

    private func compare(_ alignment: Alignment, _ context: Context) throws -> DiffSummary {
        let printer = DiffPrinter(alignment, context.format, Output(), isSummary: isSummary)
        var sample = page.map { _ in DiffSample() }
        var diff = Diff(alignment.old, alignment.new, options)
        diff.pulse = Interrupt.check
        var printed = 0
        let summary = try diff.run(atMost: page == nil ? limit : .max) {
            sample?.add($0)
            guard printed < limit else { return }
            printed += 1
            try printer.print($0)
        }
        if let page, let sample {
            try DiffPage(alignment, summary, sample, notes: notes).write(to: page)
            Output.say("kappa: the page is in \(page)")
        }
        let isCut = !isSummary && page == nil && printed < summary.differences
        try printer.finish(summary, left: isCut ? summary.differences - printed : 0)
        return summary
    }

    /// The options that narrow the comparison, for the reader of the result.
    private var notes: [String] {
        var notes: [String] = []
        if options.tolerance > 0 { notes.append("tolerance \(options.tolerance)") }
        if !options.ignored.isEmpty {
            notes.append("without " + options.ignored.sorted().joined(separator: ", "))
        }
        if let table = options.table { notes.append("table \(table) only") }
        if let keyText { notes.append("key \(keyText) only") }
        if let condition = options.condition { notes.append("where \(condition)") }
        return notes
    }

    // MARK: What is compared

    private func targets(_ context: Context) throws -> (CompareTarget, CompareTarget) {
        let catalog = try Catalog(context.data)
        let first = CompareTarget.version(try catalog.resolve(old).id)
        let second = try target(new, catalog, context.views)
        if first == second {
            Output.say("kappa: both sides are \(first)")
        }
        return (first, second)
    }

    /// A version, or this build's definition if the view is named without a number and the definition has no
    /// version.
    private func target(
        _ reference: VersionReference, _ catalog: Catalog, _ views: ViewSet
    ) throws -> CompareTarget {
        let definition = views.sound.first { $0.name == reference.view }
        if reference.number == nil, let definition {
            let entries = try catalog.entries(of: reference.view)
            if !entries.contains(where: { $0.digest == definition.digest }) {
                return .definition(reference.view)
            }
        }
        return .version(try catalog.resolve(reference).id)
    }
}

extension ParsedArguments {
    func rowKey(_ name: String) throws(KappaError) -> RowKey? {
        try key(name).map { RowKey(json: $0.json) }
    }

    /// A key as JSON; a bare word is taken as a text.
    func key(_ name: String) throws(KappaError) -> JSONValue? {
        guard let text = string(name) else { return nil }
        if let key = try? JSONValue(parsing: text) { return key }
        guard let first = text.first, "[{\"".contains(first) else { return .string(text) }
        throw KappaError(
            .usage, "\(name) \(text) cannot be used", because: "it is not complete JSON",
            advice: "Write \(name) '\"a\"', or \(name) '[\"a\", 1]' for a key of several parts")
    }
}
