import Glibc
import KappaCLI
import KappaCore

// `kappa-bench` runs the benchmarks; `kappa-bench help` explains it.
do {
    try BenchProgram.run(Array(CommandLine.arguments.dropFirst()))
} catch {
    BenchProgram.say("kappa-bench: \(error)")
    exit(((error as? KappaError)?.code ?? .bug).exitCode)
}
