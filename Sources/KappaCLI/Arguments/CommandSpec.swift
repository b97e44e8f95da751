import KappaCore

/// The specification of a command, from which parsing, help and completions are all derived.
struct CommandSpec: Sendable {
    /// One word, or two: `append`, `log info`.
    var name: String
    var summary: String
    var discussion = ""
    var arguments: [ArgumentSpec] = []
    var options: [OptionSpec] = []
    /// Whether only kappa itself uses it, so that help and completions leave it out.
    var isHidden = false
    let make: @Sendable (ParsedArguments) throws -> any Command

    /// All options, including those that every command takes.
    var allOptions: [OptionSpec] { options + OptionSpec.common }

    var usage: String { (["kappa", name] + usageParts).joined(separator: " ") }

    /// The parts of the usage line after the name: one for each argument and option.
    var usageParts: [String] {
        let words = arguments.map { argument in
            let text = argument.name + (argument.repeats ? "…" : "")
            return argument.isRequired ? text : "[\(text)]"
        }
        return words + options.map { $0.isRequired ? $0.usage : "[\($0.usage)]" }
    }
}

struct ArgumentSpec: Sendable {
    var name: String
    var isRequired = true
    var repeats = false
    /// Whether it is a view's name, so that completions offer views.
    var isView = false
    /// Whether it may name one version of a view, `VIEW@N`.
    var takesVersion = true
}

struct OptionSpec: Sendable {
    var name: String
    /// The placeholder for its value; nil for a flag.
    var value: String?
    var summary: String
    var isRequired = false
    var repeats = false
    /// The value that holds where none is given.
    var defaultValue: String?
    /// Whether a variable and `kappa.conf` set it, too; see ``Settings``.
    var isSetting = false

    /// What help says of it.
    var explanation: String {
        let known = [isSetting && !isInFile ? "$\(variable), else " : nil, defaultValue]
        let text = known.compactMap { $0 }.joined()
        return text.isEmpty ? summary : "\(summary) (\(text))"
    }

    var usage: String { value.map { "\(name) \($0)" } ?? name }

    static let common = [
        OptionSpec(
            name: "--data", value: "DIR", summary: "the data folder", defaultValue: ".kappa",
            isSetting: true),
        OptionSpec(
            name: "--format", value: "FORMAT", summary: "text, json or csv", defaultValue: "text",
            isSetting: true),
        OptionSpec(name: "--help", summary: "explains the command"),
    ]
}

/// A command with its arguments, ready to run.
protocol Command {
    /// Whether it checks ``Interrupt/wasAsked`` and ends on its own.
    var stopsGently: Bool { get }
    /// Whether it is restarted after a crash of a view's code even if it has already printed something.
    var restarts: Bool { get }

    /// Does the work; returns the exit code.
    func run(_ context: Context) throws -> Int32
}

extension Command {
    var stopsGently: Bool { false }
    var restarts: Bool { false }
}

/// What every command needs: the data folder, the views, the connectors, and the output format.
struct Context {
    var data: DataFolder
    var views: ViewSet
    var connectors: [any Connector]
    var format: RecordFormat
}
