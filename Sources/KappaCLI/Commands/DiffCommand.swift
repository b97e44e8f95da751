import KappaCore

/// `kappa diff`: compares two versions at the same position.
struct DiffCommand: Command {
    static let spec = CommandSpec(
        name: "diff", summary: "compares two versions of a view, row by row, at one position",
        discussion: """
            Where one version is behind, a copy of it is brought forward, aside. Ends with 1 where
            the versions differ.
            """,
        arguments: [
            ArgumentSpec(name: "VIEW@A", isView: true), ArgumentSpec(name: "VIEW@B", isView: true),
        ],
        options: [
            OptionSpec(
                name: "--tolerance", value: "X",
                summary: "numbers with fractions that are this close are the same"),
            OptionSpec(name: "--limit", value: "N", summary: "prints at most N differences"),
            OptionSpec(name: "--summary", summary: "prints the counts only"),
        ],
        make: { try DiffCommand($0) })

    private let old: VersionReference
    private let new: VersionReference
    private let tolerance: Double
    private let limit: Int

    init(_ arguments: ParsedArguments) throws(KappaError) {
        old = try VersionReference(arguments.positional[0])
        new = try VersionReference(arguments.positional[1])
        tolerance = try arguments.double("--tolerance") ?? 0
        limit = arguments.has("--summary") ? 0 : try arguments.integer("--limit") ?? .max
        guard old.view == new.view else {
            throw KappaError(
                .usage, "\(old) and \(new) are of different views",
                because: "a diff compares two versions of one view")
        }
    }

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        let catalog = try Catalog(context.data)
        let alignment = try Alignment(
            try catalog.resolve(old).id, try catalog.resolve(new).id, in: context.data,
            context.views)
        let output = Output()
        let printer = DiffPrinter(alignment.old, alignment.new, context.format, output)
        var left = limit
        let summary = try Diff(alignment.old, alignment.new, tolerance: tolerance).run {
            guard left > 0 else { return }
            left -= 1
            try printer.print($0)
        }
        try printer.finish(summary)
        return summary.isSame ? 0 : 1
    }
}
