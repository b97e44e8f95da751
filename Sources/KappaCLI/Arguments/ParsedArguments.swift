import KappaCore

/// A command line, parsed by a command's specification.
struct ParsedArguments: Sendable {
    private(set) var positional: [String] = []
    private var values: [String: [String]] = [:]
    let spec: CommandSpec
    /// What is not on the command line.
    var settings = Settings()

    /// - Throws: `.usage`; for a misspelt option, with the nearest one.
    init(_ words: ArraySlice<String>, _ spec: CommandSpec) throws(KappaError) {
        self.spec = spec
        var rest = words
        var onlyPositional = false
        while let word = rest.popFirst() {
            if onlyPositional || !word.hasPrefix("-") || word == "-" {
                positional.append(word)
            } else if word == "--" {
                onlyPositional = true
            } else {
                try takeOption(word, &rest)
            }
        }
    }

    private mutating func takeOption(
        _ word: String, _ rest: inout ArraySlice<String>
    ) throws(KappaError) {
        let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = parts[0] == "-h" ? "--help" : String(parts[0])
        guard let option = spec.allOptions.first(where: { $0.name == name }) else {
            let names = spec.allOptions.map(\.name)
            throw KappaError(
                .usage, "kappa \(spec.name) has no option \(name)",
                because: Spelling.nearest(name, among: names).map { "did you mean \($0)?" },
                advice: "`kappa help \(spec.name)` lists its options")
        }
        var value = ""
        if let wanted = option.value {
            if parts.count == 2 {
                value = String(parts[1])
            } else if let next = rest.popFirst() {
                value = next
            } else {
                throw Self.lacksValue(name, wanted)
            }
        } else if parts.count == 2 {
            throw KappaError(.usage, "\(name) takes no value", advice: "Write just \(name)")
        }
        let isCommon = OptionSpec.common.contains { $0.name == name }
        if values[name] != nil, option.value != nil, !option.repeats, !isCommon {
            throw KappaError(.usage, "\(name) is given twice", advice: "Give it once")
        }
        values[name, default: []].append(value)
    }

    static func lacksValue(_ name: String, _ wanted: String) -> KappaError {
        KappaError(
            .usage, "\(name) lacks its value", because: "it takes \(wanted)",
            advice: "Write \(name) \(wanted)")
    }

    /// Checks the number of arguments.
    func checkCount() throws(KappaError) {
        let required = spec.arguments.count { $0.isRequired }
        let most = spec.arguments.contains(where: \.repeats) ? Int.max : spec.arguments.count
        if positional.count < required {
            let missing = spec.arguments[positional.count].name
            throw KappaError(
                .usage, "kappa \(spec.name) lacks \(missing)", advice: "Usage: \(spec.usage)")
        }
        if positional.count > most {
            throw KappaError(
                .usage, "kappa \(spec.name) does not take \"\(positional[most])\"",
                advice: "Usage: \(spec.usage)")
        }
    }

    func has(_ name: String) -> Bool { values[name] != nil }

    /// The last value on the command line; without one, what a setting of that name has.
    func string(_ name: String) -> String? {
        values[name]?.last ?? setting(name)?.value
    }

    /// What a setting has that is not on the command line.
    private func setting(_ name: String) -> Settings.Entry? {
        values[name] == nil && isSetting(name) ? settings.entries[name] : nil
    }

    /// Whether an option of this command can be set elsewhere. Another command's may have the same name and
    /// mean something else.
    private func isSetting(_ name: String) -> Bool {
        spec.allOptions.first { $0.name == name }?.isSetting ?? true
    }

    /// Where the value of a setting comes from.
    func origin(_ name: String) -> String {
        switch setting(name)?.place {
        case .variable(let variable): variable
        case .file(let path, let line): "\(path), line \(line)"
        case nil: values[name] == nil ? "default" : name
        }
    }

    /// An option with a value, as it is written where the value comes from.
    private func written(_ name: String, _ value: String) -> String {
        switch setting(name)?.place {
        case .variable(let variable): "\(variable)=\(value)"
        case .file: "\(name.drop { $0 == "-" }) = \(value)"
        case nil: "\(name) \(value)"
        }
    }

    /// The refusal of an option's value.
    func refusal(
        _ name: String, _ text: String, because reason: String, example: String,
        _ more: String = ""
    ) -> KappaError {
        var place: String?
        if case .file? = setting(name)?.place { place = origin(name) }
        return KappaError(
            .usage, "\(written(name, text)) cannot be used", at: place, because: reason,
            advice: "Write \(written(name, example)), for example\(more)")
    }

    func strings(_ name: String) -> [String] { values[name] ?? [] }

    func integer(
        _ name: String, least: Int = 0, most: Int = .max
    ) throws(KappaError) -> Int? {
        guard let text = string(name) else { return nil }
        guard let number = Int(text), number >= least, number <= most else {
            throw refusal(
                name, text,
                because: "it takes a whole number from \(least)"
                    + (Int(text) != nil && most < .max ? " to \(most)" : ""),
                example: "\(max(least, 1))")
        }
        return number
    }

    func offset(_ name: String) throws(KappaError) -> Offset? {
        try string(name).map { (text) throws(KappaError) in
            guard let offset = Offset(parsing: text) else {
                throw refusal(
                    name, text, because: "it takes an offset", example: "0",
                    "; `kappa log info` shows where the log ends")
            }
            return offset
        }
    }

    func double(_ name: String) throws(KappaError) -> Double? {
        guard let text = string(name) else { return nil }
        guard let number = Double(text), number >= 0, number.isFinite else {
            throw refusal(name, text, because: "it takes a number from 0", example: "0.01")
        }
        return number
    }

    /// A number of bytes: `512M`, `2G`, `100000`.
    func bytes(_ name: String) throws(KappaError) -> Int? {
        guard let text = string(name) else { return nil }
        let units: [Character: Int] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40]
        let unit = text.uppercased().last.flatMap { units[$0] }
        let number = Int(unit == nil ? text[...] : text.dropLast()) ?? 0
        let (size, overflows) = number.multipliedReportingOverflow(by: unit ?? 1)
        guard number > 0, !overflows, size <= Self.mostBytes else {
            throw refusal(
                name, text, because: "it takes a size from 1 byte to 1024T", example: "512M")
        }
        return size
    }

    /// A short time in milliseconds: `100ms`, `2s`, `0ms`.
    func milliseconds(_ name: String, most: Int) throws(KappaError) -> Int? {
        guard let text = string(name) else { return nil }
        let (digits, unit) = text.hasSuffix("ms") ? (text.dropLast(2), 1) : (text.dropLast(), 1_000)
        guard text.hasSuffix("s"), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = Int(digits), number <= most / unit
        else {
            throw refusal(
                name, text, because: "it takes a time from 0ms to \(most / 1_000)s",
                example: "100ms")
        }
        return number * unit
    }

    /// An age in microseconds: `400d`, `12h`.
    func age(_ name: String) throws(KappaError) -> Int64? {
        guard let text = string(name) else { return nil }
        guard let age = LogRetention.age(text) else {
            throw refusal(
                name, text, because: "it takes an age in days, hours, minutes or seconds",
                example: "400d")
        }
        return age
    }

    /// How much of the log to keep; nil for all.
    func retention() throws(KappaError) -> LogRetention? {
        let retention = LogRetention(
            ageMicros: try age("--retain"), bytes: try bytes("--retain-size"))
        return retention == LogRetention() ? nil : retention
    }

    /// Which snapshots to keep; nil for none.
    func snapshotPolicy() throws(KappaError) -> SnapshotPolicy? {
        let name = "--keep-snapshots"
        guard let text = string(name) else { return nil }
        guard let policy = SnapshotPolicy(text) else {
            throw refusal(
                name, text,
                because: "it takes a number of events, or a time of log, and how many are kept",
                example: "every=1h,keep=24", " (every=1000000 counts events; s, m, h, d)")
        }
        return policy
    }

    /// More memory than any machine has, and small enough that its multiples do not overflow.
    private static let mostBytes = 1 << 50
}

/// Guesses which word a misspelt one was meant to be.
enum Spelling {
    static func nearest(_ word: String, among words: [String]) -> String? {
        let best = words.map { (distance(word, $0), $0) }.min { $0.0 < $1.0 }
        guard let best, best.0 <= max(2, word.count / 3) else { return nil }
        return best.1
    }

    /// The edit distance: how many letters must be inserted, removed or changed.
    private static func distance(_ a: String, _ b: String) -> Int {
        let b = Array(b)
        var row = Array(0...b.count)
        for (index, letter) in a.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for column in b.indices {
                let change = diagonal + (letter == b[column] ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(change, row[column] + 1, row[column + 1] + 1)
            }
        }
        return row[b.count]
    }
}
