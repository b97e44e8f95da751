import KappaCore

/// `kappa log info`: shows what the log holds.
struct LogInfoCommand: Command {
    static let spec = CommandSpec(
        name: "log info", summary: "what the log holds", make: { _ in LogInfoCommand() })

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        let info = try LogInfo(context.data.log)
        let printer = RecordPrinter(
            [
                "first_offset", "next_offset", "events", "bytes", "segments", "partitions",
                "erased",
            ],
            context.format, Output())
        try printer.print([
            .integer(Int64(info.firstOffset.rawValue)), .integer(Int64(info.nextOffset.rawValue)),
            .integer(Int64(info.events)), .integer(Int64(info.bytes)),
            .integer(Int64(info.segments)), .integer(Int64(info.partitions)),
            .integer(Int64(info.erased)),
        ])
        try printer.finish()
        return 0
    }
}
