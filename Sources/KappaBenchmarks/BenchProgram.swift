import Glibc
import KappaCore

/// The program: makes its input once, measures each workload several times, and prints a table.
enum BenchProgram {
    static let help = """
        kappa-bench all [OPTIONS]     every workload, a table, and FOLDER/results.json
        kappa-bench scale [OPTIONS]   how the cost of an event grows with the log: 1 to 50 million
        kappa-bench list              what the workloads are
        kappa-bench nexmark --events FILE.ndjson --out FOLDER [--queries q1,q5]
                                      Nexmark's queries: results as FOLDER/qN.csv, and figures

          --out FOLDER   where inputs and results go (bench-data)
          --events N     events of the usual inputs (5000000)
          --runs N       how often each workload is measured (5)
          --only W1,W2   only these workloads
        """

    static func run(_ words: [String]) throws {
        switch words.first {
        case "all": try BenchRun(BenchOptions(words.dropFirst())).all()
        case "scale": try BenchRun(BenchOptions(words.dropFirst())).scale()
        case "list":
            for workload in Workload.all { print(workload.name, workload.summary, separator: "  ") }
        case "nexmark": try NexmarkRun(words.dropFirst()).run()
        case "nexmark-query": try NexmarkRun.query(words.dropFirst())
        // Each measurement is a process of its own, so that memory and processor time are its own.
        case "measure": try BenchChild.run(Array(words.dropFirst()))
        case "follow": try LatencyBench.follow(words.dropFirst().first ?? "")
        case "rebuild-for-ever": try LatencyBench.rebuildForEver(words.dropFirst().first ?? "")
        default: print(help)
        }
    }

    static func say(_ text: String) {
        var line = text + "\n"
        line.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
    }
}

/// What the command line says.
struct BenchOptions {
    var folder = "bench-data"
    var events = 5_000_000
    var runs = 5
    var only: [String]?

    init(_ words: ArraySlice<String>) throws(KappaError) {
        var rest = Array(words)[...]
        while let name = rest.popFirst() {
            guard let value = rest.popFirst() else { throw Self.usage("\(name) lacks its value") }
            switch name {
            case "--out": folder = value
            case "--events": events = try Self.number(name, value)
            case "--runs": runs = try Self.number(name, value)
            case "--only": only = value.split(separator: ",").map(String.init)
            default: throw Self.usage("there is no option \(name)")
            }
        }
    }

    private static func number(_ name: String, _ text: String) throws(KappaError) -> Int {
        guard let number = Int(text), number > 0 else {
            throw usage("\(name) takes a number above zero, not \(text)")
        }
        return number
    }

    private static func usage(_ what: String) -> KappaError {
        KappaError(.usage, what, advice: BenchProgram.help)
    }
}
