import KappaCore

/// `kappa config`: the settings that hold, and where each comes from.
struct ConfigCommand: Command {
    static let spec = CommandSpec(
        name: "config", summary: "the settings that hold, and where each comes from",
        discussion: """
            An option of a command comes first, then a variable, then the file kappa.conf in the data
            folder, which has lines of `name = value`; `#` begins a comment:

            \(Commands.settings.map(Self.line).joined(separator: "\n"))

            It checks all values, also those that only other commands use.
            """,
        make: { ConfigCommand(arguments: $0) })

    let arguments: ParsedArguments

    private static func line(_ option: OptionSpec) -> String {
        let file = option.isInFile ? "\(option.settingName) = \(option.value ?? "")" : ""
        return "  \(Help.padded(file, 25))\(Help.padded(option.variable, 22))\(option.summary)"
    }

    func run(_ context: Context) throws -> Int32 {
        var options = ViewRunner.Options()
        try RunnerSession.read(arguments, into: &options)
        _ = try arguments.integer("--keep-versions")
        _ = try arguments.integer("--keep")
        let printer = RecordPrinter(["setting", "value", "from"], context.format, Output())
        for option in Commands.settings {
            let value = arguments.string(option.name) ?? option.defaultValue
            try printer.print([
                .text(option.settingName), value.map { .text($0) } ?? .null,
                .text(arguments.origin(option.name)),
            ])
        }
        try printer.finish()
        return 0
    }
}
