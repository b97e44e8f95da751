import KappaCore

/// `kappa log verify`: reads and checks every block.
struct LogVerifyCommand: Command {
    static let spec = CommandSpec(
        name: "log verify", summary: "reads and checks every block of the log",
        make: { _ in LogVerifyCommand() })

    var stopsGently: Bool { true }

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        let progress = ProgressLine("verify")
        let end = Int((try? LogReader(context.data.log).durableEnd())?.rawValue ?? 0)
        let result = try LogVerification(context.data.log) { offset in
            progress.show(Int(offset.rawValue), of: end)
            return !Interrupt.wasAsked
        }
        progress.clear()
        if Interrupt.wasAsked, result.damage == nil {
            Output.say("kappa: stopped before the log's end; what was read is sound")
            return Interrupt.exitCode
        }
        let printer = RecordPrinter(
            ["ok", "blocks", "events", "bytes", "past_end", "damage"], context.format, Output())
        try printer.print([
            .bool(result.damage == nil), .integer(Int64(result.blocks)),
            .integer(Int64(result.events)), .integer(Int64(result.bytes)),
            .integer(Int64(result.pastEnd.bytes)),
            result.damage.map { .text("\($0.place ?? ""): \($0.reason ?? $0.what)") } ?? .null,
        ])
        try printer.finish()
        for path in result.pastEnd.files {
            Output.say(
                "kappa: \(path) has bytes past the log's end, from an append that is in progress or was "
                    + "never acknowledged: they do not count, and the next append settles them")
        }
        if let damage = result.damage {
            Output.say("kappa: \(damage)")
            return damage.code.exitCode
        }
        return 0
    }
}
