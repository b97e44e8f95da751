import KappaCore

/// `kappa log seal`: rewrites segments into full blocks.
struct LogSealCommand: Command {
    static let spec = CommandSpec(
        name: "log seal", summary: "rewrites segments into full blocks, compressed if asked",
        discussion: """
            Offsets, ingestion times, sources and digests stay as they are. Appends and readers
            continue in the meantime.
            """,
        options: [OptionSpec(name: "--zstd", summary: "compresses the blocks")],
        make: { LogSealCommand(zstd: $0.has("--zstd")) })

    let zstd: Bool

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        let result = try LogSealer(context.data.log, zstd: zstd).seal()
        let printer = RecordPrinter(
            ["segments", "bytes_before", "bytes_after"], context.format, Output())
        try printer.print([
            .integer(Int64(result.segments)), .integer(Int64(result.bytesBefore)),
            .integer(Int64(result.bytesAfter)),
        ])
        try printer.finish()
        return 0
    }
}
