import Glibc
import KappaCore

/// Gates as they are written on the command line.
enum GateOption {
    static let spec = OptionSpec(
        name: "--gate", value: "GATE",
        summary: "a check that must pass, such as max-changed=1%", repeats: true)

    static let explanation = """
        A gate is one of:
          max-changed, max-added, max-removed or max-differing, with a number of rows or a
          percentage of the live rows (max-changed=1%);
          max-dead or max-late, with a number of events or a percentage of those that the view
          takes (max-dead=1%);
          column:NAME, with how far the column's sum may move (column:revenue=5%);
          sql, with a SELECT, or a file with one, over the tables old and new, which must return
          no rows.
        """

    /// - Throws: `.usage` if it is not a gate.
    static func parse(_ text: String) throws(KappaError) -> Gate {
        guard let equals = text.firstIndex(of: "=") else { throw unknown(text) }
        let name = String(text[..<equals])
        let value = String(text[text.index(after: equals)...])
        if name == "sql" { return .sql(try select(value)) }
        let rows = Gate.Rows.allCases.first { name == "max-\($0.rawValue)" }
        let events = Gate.Events.allCases.first { name == "max-\($0.rawValue)" }
        let isColumn = name.hasPrefix("column:") && name != "column:"
        guard rows != nil || events != nil || isColumn else { throw unknown(text) }
        guard let allowance = Allowance(parsing: value) else {
            throw KappaError(
                .usage, "--gate \(text) cannot be used",
                because: "\"\(value)\" is neither a number nor a percentage",
                advice: "Write \(name)=10 or \(name)=1%")
        }
        if let events { return Gate(.events(events, allowance)) }
        if let rows { return Gate(.rows(rows, allowance)) }
        return .columnDrift(String(name.dropFirst("column:".count)), atMost: allowance)
    }

    private static func unknown(_ text: String) -> KappaError {
        let names =
            Gate.Rows.allCases.map { "max-\($0.rawValue)" }
            + Gate.Events.allCases.map { "max-\($0.rawValue)" } + ["column:NAME", "sql"]
        let name = text.prefix { $0 != "=" }
        let nearest = Spelling.nearest(String(name), among: names)
        return KappaError(
            .usage, "\"\(text)\" is not a gate",
            because: nearest.map { "did you mean \($0)=…?" }
                ?? "gates are \(names.joined(separator: ", "))",
            advice: "Write --gate max-changed=1%, for example; see `kappa help promote`")
    }

    /// The text of the file of that name if there is one, otherwise the text itself.
    private static func select(_ text: String) throws(KappaError) -> String {
        guard access(text, F_OK) == 0 else {
            // One word with a dot or a slash is a file's name. Anything else is SQL, which is checked when it
            // runs.
            guard text.contains(where: \.isWhitespace) || !text.contains(where: "./".contains)
            else {
                throw KappaError(
                    .usage, "--gate sql=\(text) cannot be used",
                    because: "it is neither a SELECT nor an existing file",
                    advice: "Write --gate \"sql=SELECT …\", or check the file's name")
            }
            return text
        }
        guard let select = try InputFile.text(of: text, atMost: mostBytes) else {
            throw KappaError(
                .usage, "--gate sql=\(text) is too long", at: text,
                because: "it has more than \(mostBytes) bytes",
                advice: "Name a file with one SELECT")
        }
        return select
    }

    private static let mostBytes = 100_000
}
