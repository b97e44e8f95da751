/// The types that functions take and return.
struct SQLFunctionRule {
    enum Take {
        /// Any value, as it is stored.
        case any
        /// Numbers, texts, JSON; decimals as doubles, and no times.
        case plain
        /// Texts as the library prints them.
        case text
        /// Times as texts that SQLite reads; everything else as with `plain`.
        case moment
        /// Values in their JSON form.
        case json
        /// Decimals in their canonical form.
        case decimal
        /// Times, and texts that are times.
        case time
    }

    /// How the arguments are taken, in order; the last entry applies to all further arguments.
    var takes: [Take]
    var gives: SQLType

    init(_ takes: Take..., gives: SQLType) {
        self.takes = takes
        self.gives = gives
    }

    func take(_ index: Int) -> Take { index < takes.count ? takes[index] : takes.last ?? .any }

    /// The functions that are neither aggregates of numbers nor choices between arguments.
    static let all: [String: SQLFunctionRule] = {
        var rules: [String: SQLFunctionRule] = [:]
        func add(_ names: String, _ takes: Take..., gives: SQLType) {
            for name in names.split(separator: " ") {
                var rule = SQLFunctionRule(gives: gives)
                rule.takes = takes
                rules[String(name)] = rule
            }
        }
        add("lower upper replace hex quote soundex concat concat_ws", .text, gives: .text)
        add("group_concat string_agg highlight", .text, gives: .text)
        add("trim ltrim rtrim", .text, gives: .text)
        add("substr substring", .text, .plain, gives: .text)
        add("printf format", .text, gives: .text)
        add("char", .plain, gives: .text)
        add("instr length octet_length unicode", .text, gives: .integer)
        add("like glob", .text, gives: .bool)
        add("date time datetime strftime timediff", .moment, gives: .text)
        add("julianday", .moment, gives: .double)
        add("unixepoch", .moment, gives: .integer)
        add("json json_remove json_patch", .plain, gives: .json)
        add("json_extract", .plain, gives: .unknown)
        add("json_array json_quote json_group_array", .json, gives: .json)
        add("json_valid json_array_length json_error_position", .plain, gives: .integer)
        add("json_type", .plain, gives: .text)
        add("json_insert json_replace json_set", .plain, .plain, .json, gives: .json)
        add(
            "acos acosh asin asinh atan atan2 atanh cos cosh degrees exp ln log log10 log2 pi pow "
                + "power radians sin sinh sqrt tan tanh", .plain, gives: .double)
        add("ceil ceiling floor trunc mod", .plain, gives: .unknown)
        add("count", .any, gives: .integer)
        add("row_number rank dense_rank ntile", .plain, gives: .integer)
        add("percent_rank cume_dist", .plain, gives: .double)
        add("typeof", .any, gives: .text)
        add(
            "random changes total_changes last_insert_rowid sqlite_compileoption_used",
            .plain, gives: .integer)
        add("sqlite_version sqlite_source_id sqlite_compileoption_get", .plain, gives: .text)
        return rules
    }()
}
