import Glibc
import KappaCore

/// Gates as they are written on the command line.
enum GateOption {
    static let spec = OptionSpec(
        name: "--gate", value: "GATE",
        summary: "a check that must pass, such as max-changed=1%", repeats: true)

    static let explanation = """
        A gate is max-changed, max-added, max-removed or max-differing with a number of rows or a
        percentage of the live rows (max-changed=1%), max-dead or max-late with a number of events or
        a percentage of those that the view takes (max-dead=1%), column:NAME with how far the column's
        sum may move (column:revenue=5%), or sql with a SELECT, or a file that holds one, over the
        tables old and new, which must return no rows.
        """

    /// - Throws: `.usage` where it is no gate.
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
            .usage, "\"\(text)\" is no gate",
            because: nearest.map { "did you mean \($0)=…?" }
                ?? "gates are \(names.joined(separator: ", "))",
            advice: "Write --gate max-changed=1%, for example; see `kappa help promote`")
    }

    /// The text of a file where there is one, else what was written.
    private static func select(_ text: String) throws(KappaError) -> String {
        guard access(text, F_OK) == 0 else {
            // A statement is judged where it runs; one word with a dot or a slash is a file's name.
            guard text.contains(where: \.isWhitespace) || !text.contains(where: "./".contains)
            else {
                throw KappaError(
                    .usage, "--gate sql=\(text) cannot be used",
                    because: "it is neither a SELECT nor a file that is there",
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
