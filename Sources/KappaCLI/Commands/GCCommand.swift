import KappaCore

/// `kappa gc`: drops versions and snapshots that are no longer needed.
struct GCCommand: Command {
    static let spec = CommandSpec(
        name: "gc", summary: "drops versions that are no longer needed, and leftover files",
        discussion: """
            It drops retired and failed versions, those that a newer one has overtaken, and builds that
            no run would finish: older than a version that was live, or than the newest one. A version
            that is live, waits to be promoted, or is held by a process stays. Unfinished files that
            killed processes have left are removed, too.
            """,
        options: Self.options,
        make: {
            GCCommand(
                keep: try $0.integer("--keep") ?? 1,
                keepSnapshots: try $0.integer("--keep-snapshots"))
        })

    static let options = [
        OptionSpec(
            name: "--keep", value: "N",
            summary: "keeps the newest N old versions of each view", defaultValue: "1",
            isSetting: true),
        OptionSpec(
            name: "--keep-snapshots", value: "N",
            summary: "keeps the newest N snapshots of each version", defaultValue: "all"),
    ]

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
