import Glibc
import KappaCore

/// A sample of the rows that differ, small enough for a page that people can read.
struct DiffSample {
    private(set) var rows: [RowDifference] = []
    private var counts: [RowDifference.Operation: Int] = [:]

    /// The most rows of each kind: the first ones in key order.
    static let most = 500

    mutating func add(_ difference: RowDifference) {
        let count = counts[difference.operation, default: 0]
        guard count < Self.most else { return }
        counts[difference.operation] = count + 1
        rows.append(difference)
    }
}

/// One page of HTML about a comparison. It needs no other file and loads nothing, so it can be passed on.
struct DiffPage {
    private let alignment: Alignment
    private let summary: DiffSummary
    private let sample: DiffSample
    private let notes: [String]
    private var text: DiffText { DiffText(alignment) }

    /// - Parameter notes: The options that narrowed the comparison.
    init(
        _ alignment: Alignment, _ summary: DiffSummary, _ sample: DiffSample, notes: [String] = []
    ) {
        self.alignment = alignment
        self.summary = summary
        self.sample = sample
        self.notes = notes
    }

    func write(to path: String) throws(KappaError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw IOFailure("open", errno).error(creating: "the page", at: path)
        }
        defer { close(descriptor) }
        let bytes = Array(html.utf8)
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { bytes in
                Glibc.write(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done)
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw IOFailure("write", errno).error("cannot write the page", at: path)
            }
            done += count
        }
    }

    // MARK: The page

    var html: String {
        """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta http-equiv="Content-Security-Policy" content="\(DiffPageParts.policy)">
        <title>\(Self.escaped(text.title))</title>
        <style>
        \(DiffPageParts.style)
        </style>
        </head>
        <body>
        <main>
        \(heading)
        \(counts)
        \(columns)
        \(rows)
        </main>
        <script>
        \(DiffPageParts.script)
        </script>
        </body>
        </html>

        """
    }

    private var heading: String {
        func side(_ name: String, _ origin: Alignment.Origin, _ reader: VersionReader) -> String {
            "<li><b>\(name)</b> \(Self.escaped("\(origin.target)")), digest "
                + "<code>\(Self.escaped(reader.digest))</code>: "
                + "\(Self.escaped(DiffText.way(origin.way)))</li>"
        }
        let narrowed =
            notes.isEmpty
            ? ""
            : "<p>Compared "
                + Self.escaped(
                    notes.joined(separator: "; ")) + ".</p>\n"
        return """
            <h1>\(Self.escaped(text.title))</h1>
            <p>Both as of offset <b>\(ProgressLine.grouped(Int(summary.position.rawValue)))</b> of \
            the log.</p>
            <ul class="sides">
            \(side("old", alignment.oldSide, alignment.old))
            \(side("new", alignment.newSide, alignment.new))
            </ul>
            \(narrowed)
            """
    }

    private var counts: String {
        let all = summary.differences + summary.same
        func tile(_ name: String, _ count: Int) -> String {
            let share = all == 0 ? 0 : Double(count) / Double(all)
            return "<li class=\"\(name)\"><b>\(ProgressLine.grouped(count))</b> \(name)"
                + "<small>\(DiffText.percent(share))</small></li>"
        }
        return """
            <ul class="counts">
            \(tile("added", summary.added))
            \(tile("removed", summary.removed))
            \(tile("changed", summary.changed))
            \(tile("same", summary.same))
            </ul>
            """
    }

    private var columns: String {
        guard !summary.columns.isEmpty else { return "" }
        let lines = summary.columns.map { column in
            let share = 100 * Double(column.rows) / Double(max(1, summary.changed))
            let width = ProgressLine.hundredths(share)
            return "<tr><th scope=\"row\">\(Self.escaped(text.name(column)))</th>"
                + "<td class=\"n\">\(ProgressLine.grouped(column.rows))</td>"
                + "<td><div class=\"bar\" style=\"width:\(width)%\"></div></td>"
                + "<td class=\"n\">\(Self.cell(column.largest ?? .null))</td>"
                + "<td class=\"n\">\(column.relative.map(DiffText.percent) ?? "·")</td></tr>"
        }
        return """
            <h2>Columns that differ</h2>
            <table class="columns">
            <thead><tr><th>column</th><th class="n">rows</th><th>of the changed rows</th>\
            <th class="n">largest difference</th><th class="n">relative</th></tr></thead>
            <tbody>
            \(lines.joined(separator: "\n"))
            </tbody>
            </table>
            """
    }

    private var rows: String {
        guard !sample.rows.isEmpty else { return "<p class=\"none\">No row differs.</p>" }
        let left = summary.differences - sample.rows.count
        let shown = ProgressLine.grouped(sample.rows.count)
        let note =
            left == 0
            ? (sample.rows.count == 1 ? "The one row that differs." : "All \(shown) of them.")
            : "\(shown) of them: the first \(DiffSample.most) of each kind, in key order. "
                + "<b>\(ProgressLine.grouped(left)) more are left out</b>; "
                + "<code>kappa diff</code> prints all."
        var names: [String] = []
        for row in sample.rows where !names.contains(row.table) { names.append(row.table) }
        let tables = names.map { name in
            (text.hasTables ? "<h3>\(Self.escaped(name))</h3>\n" : "") + table(name)
        }
        return """
            <h2>Rows that differ</h2>
            <p>\(note)</p>
            <p class="tools"><input id="search" type="search" placeholder="Search" \
            aria-label="Search the rows"> <span id="found"></span></p>
            \(tables.joined(separator: "\n"))
            """
    }

    // MARK: Rows

    private func table(_ name: String) -> String {
        let old = alignment.old.tables.first { $0.name == name }
        let new = alignment.new.tables.first { $0.name == name }
        var columns = (old ?? new)?.columns ?? []
        for column in new?.columns ?? [] where !columns.contains(where: { $0.name == column.name })
        {
            columns.append(column)
        }
        let heads = columns.map { "<th><button>\(Self.escaped($0.name))</button></th>" }.joined()
        let lines = sample.rows.filter { $0.table == name }.map { row in
            let cells = columns.map { cell(of: $0, row, old, new) }.joined()
            let operation = row.operation.rawValue
            return "<tr class=\"\(operation)\"><td>\(operation)</td>\(cells)</tr>"
        }
        return """
            <div class="scroll"><table class="rows">
            <thead><tr><th><button>op</button></th>\(heads)</tr></thead>
            <tbody>
            \(lines.joined(separator: "\n"))
            </tbody>
            </table></div>
            """
    }

    private func cell(
        of column: ColumnSchema, _ row: RowDifference, _ old: TableSchema?, _ new: TableSchema?
    ) -> String {
        let before = Self.value(column.name, row.before, old)
        let after = Self.value(column.name, row.after, new)
        let isNumber = Self.isNumber(after ?? before ?? .null)
        let tag = isNumber ? "<td class=\"n\">" : "<td>"
        guard row.operation == .changed, row.columns.contains(column.name) else {
            return "\(tag)\(Self.cell(after ?? before ?? .null))</td>"
        }
        return "\(tag)<del>\(Self.cell(before ?? .null))</del> "
            + "<ins>\(Self.cell(after ?? .null))</ins></td>"
    }

    private static func value(
        _ column: String, _ values: [Value]?, _ schema: TableSchema?
    ) -> Value? {
        guard let values, let index = schema?.columns.firstIndex(where: { $0.name == column })
        else { return nil }
        return values[index]
    }

    private static func isNumber(_ value: Value) -> Bool {
        switch value {
        case .integer, .double, .decimal: true
        case .null, .bool, .text, .timestamp, .json: false
        }
    }

    /// Longer cells are cut, to keep the page readable.
    private static let mostCharacters = 300

    private static func cell(_ value: Value) -> String {
        let text = RecordPrinter.cell(value)
        let start = text.prefix(mostCharacters)
        return escaped(start.endIndex == text.endIndex ? text : start + "…")
    }

    /// Escapes text for HTML, also for an attribute in double quotes.
    static func escaped(_ text: String) -> String {
        var result = ""
        result.reserveCapacity(text.utf8.count)
        // SafeText removes controls of the writing direction, which could make one value look like another.
        for scalar in SafeText.line(text).unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
