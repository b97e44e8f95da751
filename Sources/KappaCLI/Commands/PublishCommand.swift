import KappaCore

/// `kappa publish`: keeps copies of views elsewhere current.
struct PublishCommand: Command {
    static let spec = CommandSpec(
        name: "publish", summary: "keeps the rows of views current in another place",
        discussion: """
            Rows and position are written there in one transaction, so that publishing goes on where it
            stopped, whatever dies when. The live version is published; a promotion arrives as one
            transaction. It changes nothing in the data folder: `kappa run` keeps the versions current.

            It goes on until it is stopped. Prints a record each time a view has caught up: the version,
            the offset and the id of the last change that is published.
            """,
        arguments: [
            ArgumentSpec(name: "VIEW", repeats: true, isView: true, takesVersion: false)
        ],
        options: [
            OptionSpec(
                name: "--to", value: "URL", summary: "where to, such as csv:DIR or sqlite:FILE",
                isRequired: true),
            OptionSpec(
                name: "--until-caught-up",
                summary: "ends when all that the live versions have is published"),
        ],
        make: {
            guard let url = $0.string("--to") else {
                throw KappaError(
                    .usage, "publish needs --to", because: "it names the place",
                    advice: "Write --to csv:DIR, for example")
            }
            return PublishCommand(
                views: $0.positional, url: url, untilCaughtUp: $0.has("--until-caught-up"))
        })

    var stopsGently: Bool { true }
    let views: [String]
    let url: String
    let untilCaughtUp: Bool

    /// What the threads that publish share.
    private struct State {
        let printer: RecordPrinter
        var failures: [KappaError] = []
        var caughtUp: Set<String> = []
        /// For each view, why it is tried again: said once.
        var retried: [String: KappaError] = [:]
        /// Why nothing can be printed any more.
        var printingFailure: (any Error)?

        /// Whether nobody reads the records any more.
        var cannotPrint: Bool {
            mutating get {
                if printingFailure == nil {
                    do { try Output.checkReader() } catch { printingFailure = error }
                }
                return printingFailure != nil
            }
        }
    }

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        let connector = try connector(context)
        if let twice = views.first(where: { view in views.count { $0 == view } > 1 }) {
            throw KappaError(.usage, "view \(twice) is named twice", advice: "Name it once")
        }
        let catalog = try Catalog(context.data)
        for view in views { try catalog.requireView(view, among: context.views.names) }
        let state = Monitor(
            State(
                printer: RecordPrinter(
                    ["view", "version", "offset", "id"], context.format, Output())))
        let threads = try views.map { view in
            let (data, url, untilCaughtUp) = (context.data, url, untilCaughtUp)
            return try WorkerThread("kappa-publish") {
                Self.publish(view, data, connector, url, untilCaughtUp, state)
            }
        }
        for thread in threads { thread.join() }
        return try state.withLock { state in
            if let failure = state.printingFailure { throw failure }
            if let failure = state.failures.first { return failure.code.exitCode }
            try state.printer.finish()
            guard untilCaughtUp, state.caughtUp.count < views.count else { return 0 }
            Output.say("kappa: stopped before all was published; what is printed above is")
            return Interrupt.exitCode
        }
    }

    private func connector(_ context: Context) throws(KappaError) -> any SinkConnector {
        let scheme = url.prefix { $0 != ":" }
        let known = context.connectors.compactMap { $0 as? any SinkConnector }
        if let connector = known.first(where: { $0.scheme == scheme }), url.contains(":") {
            return connector
        }
        throw KappaError(
            .usage, "kappa cannot publish to \"\(url)\"",
            because: known.isEmpty
                ? "this program has no connector for it"
                : "it can publish to \(known.map(\.usage).joined(separator: ", "))",
            advice: "Write one of these after --to")
    }

    /// Publishes one view, on a thread of its own. A view that cannot be published does not stop the others.
    private static func publish(
        _ view: String, _ data: DataFolder, _ connector: any SinkConnector, _ url: String,
        _ untilCaughtUp: Bool, _ state: Monitor<State>
    ) {
        do {
            let publication = Publication(view, try Catalog(data)) { () throws(KappaError) in
                try connector.sink(url, of: view)
            }
            try publication.run(
                untilCaughtUp: untilCaughtUp,
                isStopped: { Interrupt.wasAsked || state.withLock { $0.cannotPrint } },
                observer: { report(view, $0, state) })
        } catch {
            let failure =
                error as? KappaError ?? KappaError(.bug, "\(view) is not published: \(error)")
            Output.say("kappa: \(view): \(failure)")
            state.withLock { $0.failures.append(failure) }
        }
    }

    private static func report(
        _ view: String, _ report: PublicationReport, _ state: Monitor<State>
    ) {
        switch report {
        case .waiting:
            Output.say(
                "kappa: \(view) has no live version yet; `kappa run` makes one. Waiting for it")
        case .loading(let version, let reason):
            Output.say("kappa: writing all rows of \(version)\(reason.text)")
        case .retrying(let error, let delay):
            let isKnown = state.withLock { $0.retried.updateValue(error, forKey: view) == error }
            if isKnown { return }
            Output.say("kappa: \(view): \(error)")
            Output.say(
                "kappa: \(view): retrying in \(delay), then less and less often, until that passes")
        case .caughtUp(let position):
            let wasRetried = state.withLock { state in
                state.caughtUp.insert(view)
                return state.retried.removeValue(forKey: view) != nil
            }
            if wasRetried { Output.say("kappa: \(view): published again") }
            let id = position.change
            let cells: [Value] = [
                .text(position.view), .integer(Int64(id.version.rawValue)),
                .integer(Int64(position.offset.rawValue)), .text(id.description),
            ]
            state.withLock { state in
                do {
                    try state.printer.print(cells)
                    try state.printer.flush()
                } catch { state.printingFailure = error }
            }
        }
    }
}

extension PublicationReport.LoadReason {
    fileprivate var text: String {
        switch self {
        case .isEmpty: ""
        case .otherColumns: ", which has other columns"
        case .notKept: " anew: what has changed since is no longer known"
        }
    }
}
