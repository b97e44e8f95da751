import KappaCore

/// `kappa gc`: drops what nobody needs any more.
struct GCCommand: Command {
    static let spec = CommandSpec(
        name: "gc", summary: "drops versions that nobody needs, and what is left of them",
        discussion: """
            These are retired and failed versions, those that were overtaken by a newer one, and builds that
            nobody would finish: older than a version that was live, or than the newest one. What is
            live, waits to be promoted, or is held by a process stays. What processes that were killed have
            left half-made is removed, too.
            """,
        options: [
            OptionSpec(
                name: "--keep", value: "N",
                summary: "keeps the newest N of each view that are done with (1)"),
            OptionSpec(
                name: "--keep-snapshots", value: "N",
                summary: "keeps the newest N snapshots of each version (all)"),
        ],
        make: {
            GCCommand(
                keep: try $0.integer("--keep") ?? 1,
                keepSnapshots: try $0.integer("--keep-snapshots"))
        })

    let keep: Int
    let keepSnapshots: Int?

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        let catalog = try Catalog(context.data)
        let dropped = try Garbage(catalog).collect(keep: keep)
        let snapshots = try Garbage(catalog).collectSnapshots(keep: keepSnapshots)
        try Garbage(catalog).removeLeftovers()
        if dropped.isEmpty, snapshots.isEmpty, context.format == .text {
            Output.say("nothing to drop")
            return 0
        }
        let printer = RecordPrinter(
            ["view", "version", "snapshot", "bytes"], context.format, Output())
        for dropped in dropped {
            try printer.print(Self.cells(dropped.id, nil, dropped.bytes))
        }
        for snapshot in snapshots {
            try printer.print(Self.cells(snapshot.id, snapshot.offset, snapshot.bytes))
        }
        try printer.finish()
        return 0
    }

    private static func cells(_ id: VersionID, _ snapshot: Offset?, _ bytes: Int) -> [Value] {
        [
            .text(id.view), .integer(Int64(id.number.rawValue)),
            snapshot.map { .integer(Int64($0.rawValue)) } ?? .null, .integer(Int64(bytes)),
        ]
    }
}
