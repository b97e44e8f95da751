import Glibc
import Testing

@testable import KappaCLI
@testable import KappaCore

/// Whatever is on its command line, a command ends with a code and a message, and never by a signal.
@Suite("Every option of every command, with every odd value")
struct OptionSweepTests {
    /// Numbers that overflow, texts that are not numbers, and numbers in other scripts.
    private static let values = [
        "", "9223372036854775807", "9223372036854775808", "9999999999G",
    ]
    private static let further = [
        "-1", "0", "1e30", " ", "1", "00", "+1", "1.5", "-0", "4611686018427387903",
        "4611686018427387904",
        "18446744073709551615", "18446744073709551616", "-9223372036854775808", "0x10", "1e3",
        "nan",
        "inf", "1e309", "-1e309", "1K", "1M", "8388608T", "16777216T", "9223372036854775807K", "G",
        "100%", "-1%", "1e30%", "1h", "9223372036854775807d", "every=9223372036854775807",
        "every=9223372036854775807d", "every=1,keep=9223372036854775807", "max-changed=1e308%",
        "max-changed=-1", "column:revenue=9223372036854775807", "@",
        "user_totals@9223372036854775808",
        "2024-01-15T14:30:00Z", "9999-12-31T23:59:59Z", "1,2", "\u{1B}[31m", "é", "\n", "'", "\"",
        "[]",
        "{}", "null", "1e999999999", ".", "..", "/", "/dev/null", "/nonexistent/x",
    ]

    @Test("an odd value is used or refused with its option's name")
    func options() throws {
        let kappa = try KappaProgram()
        try CommandLines.prepare(kappa)
        var lines: [[String]] = []
        let values = Self.values + (CommandLines.isLong ? Self.further : [])
        for spec in CommandLines.specs {
            for option in spec.allOptions where option.value != nil {
                for value in values where value != "0" || option.name != "--batch" {
                    lines.append(CommandLines.words(spec) + [option.name, value])
                }
            }
        }
        // There, endless generated events end.
        let runs = try CommandSweep(kappa: kappa, redirections: "> /dev/full").run(lines)
        for run in runs {
            #expect(
                CommandLines.codes.contains(run.code), "\(run.words): \(run.code) \(run.errors)")
            if run.code == 64, let option = run.words.dropLast().last {
                let name = option == "--data" ? "data folder" : option
                let says =
                    run.errors.contains(name) || run.errors.contains("\"\(run.words.last ?? "")\"")
                #expect(says || !Self.isNumber(option, run.words), "\(run.words): \(run.errors)")
            }
        }
    }

    private static func isNumber(_ option: String, _ words: [String]) -> Bool {
        let spec = Commands.all.first {
            words.starts(with: $0.name.split(separator: " ").map(String.init))
        }
        let value = spec?.allOptions.first { $0.name == option }?.value ?? ""
        return ["N", "R", "S", "SECONDS", "SIZE", "OFFSET", "X", "POLICY", "GATE"].contains(value)
    }

    @Test("an odd argument is used or refused")
    func arguments() throws {
        let kappa = try KappaProgram()
        try CommandLines.prepare(kappa)
        var lines: [[String]] = []
        let values = [
            "", "user_totals@9223372036854775808", "user_totals@-1", "user_totals@0", "@", "a@b@c",
            "\u{1B}[2J",
            "/nonexistent", ".", "-", "--", "-x", "user_totals@9223372036854775807",
        ]
        for spec in CommandLines.specs {
            let values = CommandLines.isLong ? values : Array(values.prefix(4))
            let words = spec.name.split(separator: " ").map(String.init)
            for value in values {
                let count = max(1, spec.arguments.count)
                lines.append(
                    words + Array(repeating: value, count: count)
                        + (spec.name == "run" ? ["--until-caught-up"] : []))
            }
        }
        for run in try CommandSweep(kappa: kappa, redirections: "> out").run(lines) {
            #expect(
                CommandLines.codes.contains(run.code), "\(run.words): \(run.code) \(run.errors)")
            #expect(!run.errors.contains("\u{1B}"), "\(run.words)")
        }
    }
}
