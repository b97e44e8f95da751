import KappaCore

/// `kappa views`: lists the definitions in this build, with the columns of their tables.
struct ViewsCommand: Command {
    static let spec = CommandSpec(
        name: "views", summary: "the views that this build defines, with columns and types",
        make: { _ in ViewsCommand() })

    func run(_ context: Context) throws -> Int32 {
        let output = Output()
        let views = context.views.workedOut()
        let invalidEarlier = context.views.invalidEarlier()
        // Also list the views of this build that have failed because their code crashed.
        let failed = context.data.exists ? try Plan.failedViews(context.data, views.sound) : [:]
        if context.format == .text {
            for (index, view) in views.sound.enumerated() {
                if index > 0 { try output.write("\n") }
                try output.write(Self.text(view))
                if let reason = failed[view.name] {
                    try output.write("    failed: \(SafeText.line(reason))\n")
                }
            }
            for view in views.invalid {
                if views.invalid.count + views.sound.count > 1 { try output.write("\n") }
                try output.write(InvalidViews.text(view) + "\n")
            }
            try output.flush()
            InvalidViews.say(earlier: invalidEarlier)
            return 0
        }
        let printer = RecordPrinter(
            ["view", "digest", "events", "tables", "error"], context.format, output)
        for view in views.sound {
            let tables = view.tables.filter { !$0.isInternal }
            try printer.print([
                .text(view.name), .text(view.digest), Self.list(view.eventTypes, context.format),
                context.format == .json
                    ? .json("[\(tables.map(Self.json).joined(separator: ","))]")
                    : .text(tables.map(Self.line).joined(separator: "; ")),
                failed[view.name].map { .text($0) } ?? .null,
            ])
        }
        for view in views.invalid {
            let error: Value = .text(InvalidViews.reason(view))
            try printer.print([.text(view.name), .null, .null, .null, error])
        }
        try printer.finish()
        return 0
    }

    private static func list(_ names: [String], _ format: RecordFormat) -> Value {
        guard format == .json else { return .text(names.joined(separator: " ")) }
        let quoted = names.map { name in JSONText.string { $0.append(string: name) } }
        return .json("[\(quoted.joined(separator: ","))]")
    }

    /// A view with the events that it takes, and a line for each column of each table.
    private static func text(_ view: ViewDefinition) -> String {
        let types = view.eventTypes.map { $0 == "*" ? "without a type" : $0 }
        var text = "\(view.name)  \(view.digest)  events \(types.joined(separator: ", "))\n"
        let tables = view.tables.filter { !$0.isInternal }
        for table in tables {
            if tables.count > 1 || table.name != view.name { text += "  table \(table.name)\n" }
            let width = table.columns.map(\.name.count).max() ?? 0
            for column in table.columns {
                let padding = String(repeating: " ", count: width - column.name.count)
                text += "    \(column.name)\(padding)  \(column.kind.rawValue)"
                text += column.isKey ? "  key\n" : "\n"
            }
        }
        return text
    }

    private static func line(_ table: TableSchema) -> String {
        let columns = table.columns.map {
            "\($0.name) \($0.kind.rawValue)\($0.isKey ? " key" : "")"
        }
        return "\(table.name)(\(columns.joined(separator: ", ")))"
    }

    private static func json(_ table: TableSchema) -> String {
        JSONText.string { text in
            text.append(raw: #"{"name":"#)
            text.append(string: table.name)
            text.append(raw: #","columns":["#)
            for (index, column) in table.columns.enumerated() {
                if index > 0 { text.append(raw: ",") }
                text.append(raw: #"{"name":"#)
                text.append(string: column.name)
                text.append(raw: #","type":"\#(column.kind.rawValue)","key":\#(column.isKey)}"#)
            }
            text.append(raw: "]}")
        }
    }
}
