import KappaCore

/// What a command is called, takes and does: parsing, help and completions are all made from this.
struct CommandSpec: Sendable {
    /// One word, or two: `append`, `log info`.
    var name: String
    var summary: String
    var discussion = ""
    var arguments: [ArgumentSpec] = []
    var options: [OptionSpec] = []
    /// Whether it is for kappa itself: help and completions leave it out.
    var isHidden = false
    let make: @Sendable (ParsedArguments) throws -> any Command

    /// All options, with those that every command takes.
    var allOptions: [OptionSpec] { options + OptionSpec.common }

    var usage: String { (["kappa", name] + usageParts).joined(separator: " ") }

    /// What stands behind the name, each argument and option for itself.
    var usageParts: [String] {
        let words = arguments.map { argument in
            let text = argument.name + (argument.repeats ? "…" : "")
            return argument.isRequired ? text : "[\(text)]"
        }
        return words + options.map { "[\($0.usage)]" }
    }
}

struct ArgumentSpec: Sendable {
    var name: String
    var isRequired = true
    var repeats = false
    /// Whether views complete it.
    var isView = false
    /// Whether it may be one version of a view, `VIEW@N`.
    var takesVersion = true
}

struct OptionSpec: Sendable {
    var name: String
    /// What stands for its value; nil for a flag.
    var value: String?
    var summary: String
    var repeats = false

    var usage: String { value.map { "\(name) \($0)" } ?? name }

    static let common = [
        OptionSpec(
            name: "--data", value: "DIR", summary: "the data folder ($KAPPA_DATA, else .kappa)"),
        OptionSpec(name: "--format", value: "FORMAT", summary: "text, json or csv"),
        OptionSpec(name: "--help", summary: "explains the command"),
    ]
}

/// A command with its arguments, ready to run.
protocol Command {
    /// Whether it looks out for ``Interrupt/wasAsked`` and comes to an end by itself.
    var stopsGently: Bool { get }
    /// Whether it is begun again where the code of a view crashes, also when it has printed something.
    var restarts: Bool { get }

    /// Does the work; the result is the exit code.
    func run(_ context: Context) throws -> Int32
}

extension Command {
    var stopsGently: Bool { false }
    var restarts: Bool { false }
}

/// What every command needs: where the data is, which views there are, how to print.
struct Context {
    var data: DataFolder
    var views: ViewSet
    var format: RecordFormat
}
