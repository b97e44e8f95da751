import Glibc
import KappaCLI
import KappaCore

// `kappa-bench` measures; `kappa-bench help` says how.
do {
    try BenchProgram.run(Array(CommandLine.arguments.dropFirst()))
} catch {
    BenchProgram.say("kappa-bench: \(error)")
    exit(((error as? KappaError)?.code ?? .bug).exitCode)
}
