import KappaCore

/// `kappa snapshots`: lists the snapshots of versions.
struct SnapshotsCommand: Command {
    static let spec = CommandSpec(
        name: "snapshots", summary: "the snapshots of versions, kept as they were at some offsets",
        discussion: """
            `run` and `rebuild` keep snapshots if they are given --keep-snapshots. `query --at`
            starts from the nearest one.
            """,
        arguments: [ArgumentSpec(name: "VIEW", isRequired: false, isView: true)],
        make: { (arguments) throws(KappaError) in
            SnapshotsCommand(
                reference: try arguments.positional.first.map { (text) throws(KappaError) in
                    try VersionReference(text)
                })
        })

    let reference: VersionReference?

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        if let reference { _ = try Catalog(context.data).resolve(reference) }
        let snapshots = Snapshots(context.data).all(of: reference?.view).filter {
            reference?.number == nil || $0.id.number == reference?.number
        }
        if snapshots.isEmpty, context.format == .text {
            Output.say("no snapshots; `kappa run --keep-snapshots every=1h` keeps some")
            return 0
        }
        let printer = RecordPrinter(
            ["view", "version", "offset", "appended_until", "bytes"], context.format, Output())
        for snapshot in snapshots {
            let micros = try IngestionTimes.micros(before: snapshot.offset, in: context.data.log)
            try printer.print([
                .text(snapshot.id.view), .integer(Int64(snapshot.id.number.rawValue)),
                .integer(Int64(snapshot.offset.rawValue)),
                micros.map { .timestamp(Timestamp(microseconds: $0)) } ?? .null,
                .integer(Int64(snapshot.bytes)),
            ])
        }
        try printer.finish()
        return 0
    }
}
