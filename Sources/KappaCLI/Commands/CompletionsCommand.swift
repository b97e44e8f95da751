import KappaCore

/// `kappa completions`: prints the completion script of a shell.
struct CompletionsCommand: Command {
    static let spec = CommandSpec(
        name: "completions", summary: "completions for bash, zsh or fish",
        discussion: "For bash: source <(kappa completions bash)",
        arguments: [ArgumentSpec(name: "SHELL")],
        make: { CompletionsCommand(shell: $0.positional[0]) })

    let shell: String

    func run(_ context: Context) throws -> Int32 {
        guard let script = Completions.script(shell) else {
            throw KappaError(
                .usage, "there are no completions for \(shell)",
                because: "there are some for bash, zsh and fish")
        }
        return try Program.print(script)
    }
}
