/// All commands, in the order of the help.
enum Commands {
    static let all: [CommandSpec] = [
        AppendCommand.spec, PullCommand.spec, TickCommand.spec,
        LogInfoCommand.spec, LogReadCommand.spec, LogVerifyCommand.spec, LogSealCommand.spec,
        LogTrimCommand.spec,
        ViewsCommand.spec, PlanCommand.spec, RebuildCommand.spec, RunCommand.spec,
        StatusCommand.spec, QueryCommand.spec, SQLCommand.spec, TailCommand.spec,
        PublishCommand.spec,
        DiffCommand.spec, WhyCommand.spec, VerifyCommand.spec, PromoteCommand.spec,
        RollbackCommand.spec, HistoryCommand.spec, AbortCommand.spec, SnapshotsCommand.spec,
        GCCommand.spec, DeadCommand.spec, GenerateCommand.spec, DemoCommand.spec,
        ConfigCommand.spec, CompletionsCommand.spec, ReplayAsideCommand.spec,
    ]

    /// The options that variables and `kappa.conf` set, too.
    static let settings: [OptionSpec] = {
        let options = OptionSpec.common + RunCommand.spec.options + GCCommand.options
        return options.filter(\.isSetting)
    }()

    /// The commands that help and completions show.
    static var shown: [CommandSpec] { all.filter { !$0.isHidden } }
}
