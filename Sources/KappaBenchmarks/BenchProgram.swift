import Glibc
import KappaCore

/// The program. It makes its input once, measures each workload several times, and prints a table.
enum BenchProgram {
    static let help = """
        kappa-bench all [OPTIONS]     every workload, a table, and FOLDER/results.json
        kappa-bench scale [OPTIONS]   the cost of an event as the log grows: 1 to 50 million
        kappa-bench disk [OPTIONS]    what live views write to disk, and how soon rows are visible
        kappa-bench list              lists the workloads
        kappa-bench nexmark --events FILE.ndjson --out FOLDER [--queries q1,q5]
                                      Nexmark's queries: results as FOLDER/qN.csv, and figures
        kappa-bench nexmark-generate --events N > FILE.ndjson
                                      generates its events
        kappa-bench COMMAND --help    more about the last two, or disk

          --out FOLDER   where inputs and results go (bench-data)
          --events N     events of the usual inputs (5000000)
          --runs N       how often each workload is measured (5)
          --only W1,W2   only these workloads
        """

    static func run(_ words: [String]) throws {
        let rest = words.dropFirst()
        if rest.contains("--help") { return print(help(of: words[0])) }
        switch words.first {
        case "all": try BenchRun(BenchOptions(rest)).all()
        case "scale": try BenchRun(BenchOptions(rest)).scale()
        case "list":
            for workload in Workload.all { print(workload.name, workload.summary, separator: "  ") }
        case "nexmark": try NexmarkRun(rest).run()
        case "nexmark-generate": try NexmarkGenerate(rest).run()
        case "nexmark-query": try NexmarkRun.query(rest)
        // Each measurement is a separate process, so that memory and processor time are its own.
        case "measure": try BenchChild.run(Array(rest))
        case "disk": try DiskBench(rest).run()
        case "follow-samples": try DiskBench.follow(rest)
        case "follow": try LatencyBench.follow(rest.first ?? "")
        case "rebuild-for-ever": try LatencyBench.rebuildForEver(rest.first ?? "")
        case nil, "help", "--help", "-h": print(help)
        case .some(let name): throw KappaError(.usage, "there is no command \(name)", advice: help)
        }
    }

    private static func help(of command: String) -> String {
        switch command {
        case "nexmark": NexmarkRun.help
        case "disk": DiskBench.help
        case "nexmark-generate": NexmarkGenerate.help
        default: help
        }
    }

    static func say(_ text: String) {
        var line = text + "\n"
        line.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
    }
}

/// The options on the command line.
struct BenchOptions {
    var folder = "bench-data"
    var events = 5_000_000
    var runs = 5
    var only: [String]?

    init(_ words: ArraySlice<String>) throws(KappaError) {
        let arguments = try BenchArguments(
            words, ["--out", "--events", "--runs", "--only"], help: BenchProgram.help)
        folder = arguments.text("--out") ?? folder
        events = try arguments.number("--events") ?? events
        runs = try arguments.number("--runs") ?? runs
        only = try arguments.list("--only")
    }
}
