import KappaCore

/// Prints help on the program and its commands, from their specifications.
enum Help {
    static func overview() throws {
        var text = """
            kappa \(Program.version): materialized views over one durable event log

            usage: kappa COMMAND [ARGUMENTS] [--data DIR] [--format text|json|csv]


            """
        let width = (Commands.shown.map(\.name.count).max() ?? 0) + 2
        for spec in Commands.shown {
            text += "  \(padded(spec.name, width))\(spec.summary)\n"
        }
        text += """
              \(padded("help", width))explains a command: kappa help COMMAND

            The data folder is --data, else $KAPPA_DATA, else .kappa here.
            """
        _ = try Program.print(text)
    }

    /// Lists the commands that share a first word, such as `log`.
    static func family(_ specs: [CommandSpec]) throws {
        let width = (specs.map(\.name.count).max() ?? 0) + 2
        let lines = specs.map { "  \(padded($0.name, width))\($0.summary)" }
        _ = try Program.print(
            (lines + ["", "`kappa help \(specs[0].name)` explains one of them."]).joined(
                separator: "\n"))
    }

    static func command(_ spec: CommandSpec) throws {
        var text = "kappa \(spec.name): \(spec.summary)\n\n\(usage(spec))\n"
        if !spec.discussion.isEmpty { text += "\n\(spec.discussion)\n" }
        text += "\noptions:\n"
        let width = (spec.allOptions.map(\.usage.count).max() ?? 0) + 2
        for option in spec.allOptions {
            text += "  \(padded(option.usage, width))\(option.explanation)\n"
        }
        text.removeLast()
        _ = try Program.print(text)
    }

    /// The usage, on as many lines as it needs.
    private static func usage(_ spec: CommandSpec) -> String {
        var lines = ["usage: kappa \(spec.name)"]
        for part in spec.usageParts {
            if (lines.last ?? "").count + 1 + part.count > 96 { lines.append("      ") }
            lines[lines.count - 1] += " " + part
        }
        return lines.joined(separator: "\n")
    }

    static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }
}
