/// kappa's own functions, and the tables that SQLite makes from JSON.
enum SQLKappaFunctions {
    /// `json_each(…)` and `json_tree(…)`.
    static let tables: [String: [SQLColumn]] = {
        let columns =
            [
                ("key", SQLType.unknown), ("value", .unknown), ("type", .text), ("atom", .unknown),
                ("id", .integer), ("parent", .integer), ("fullkey", .text), ("path", .text),
            ].map { SQLColumn(name: $0.0, type: $0.1) }
            + [
                SQLColumn(name: "json", type: .text, isHidden: true),
                SQLColumn(name: "root", type: .text, isHidden: true),
            ]
        return Dictionary(
            uniqueKeysWithValues: ["json_each", "json_tree", "jsonb_each", "jsonb_tree"].map {
                ($0, columns)
            })
    }()

    static let rules: [String: SQLFunctionRule] = [
        "rfc3339": SQLFunctionRule(.any, gives: .text),
        "dec": SQLFunctionRule(.decimal, gives: .decimal),
        "dec_add": SQLFunctionRule(.decimal, gives: .decimal),
        "dec_sub": SQLFunctionRule(.decimal, gives: .decimal),
        "dec_mul": SQLFunctionRule(.decimal, gives: .decimal),
        "dec_div": SQLFunctionRule(.decimal, gives: .decimal),
        "dec_round": SQLFunctionRule(.decimal, gives: .decimal),
        "local_date": SQLFunctionRule(.time, .any, gives: .text),
        "local_time": SQLFunctionRule(.time, .any, gives: .text),
        "local_datetime": SQLFunctionRule(.time, .any, gives: .text),
        "local_hour": SQLFunctionRule(.time, .any, gives: .integer),
        "local_weekday": SQLFunctionRule(.time, .any, gives: .integer),
    ]
}
