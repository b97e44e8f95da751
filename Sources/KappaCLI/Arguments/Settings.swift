import Glibc
import KappaCore

/// What options have where they are not on the command line: the values of `KAPPA_…` variables, and of
/// `kappa.conf` in the data folder. A variable comes before the file.
///
/// The file has lines of `name = value`; a name is an option's, without the dashes. A `#` at the start of a
/// line or after white space begins a comment.
struct Settings: Sendable {
    /// Where a value has been set.
    enum Place: Equatable, Sendable {
        case variable(String)
        case file(String, line: Int)
    }

    struct Entry: Sendable {
        var value: String
        var place: Place
    }

    /// By the option's name.
    private(set) var entries: [String: Entry] = [:]

    init() {}

    /// - Throws: `.usage` for a line that cannot be understood; `.notPermitted`, `.inputOutput`.
    init(_ options: [OptionSpec], in data: DataFolder) throws(KappaError) {
        try readFile("\(data.path)/kappa.conf", options)
        for option in options {
            if let entry = Self.variable(of: option) { entries[option.name] = entry }
        }
    }

    /// What the variable of an option has. An empty variable has an empty value, which no setting takes: a
    /// script whose own variable is empty must not use another folder.
    static func variable(of option: OptionSpec) -> Entry? {
        let name = option.variable
        return getenv(name).map {
            Entry(value: String(cString: $0), place: .variable(name))
        }
    }

    // MARK: The file

    private static let mostBytes = 64 << 10

    private mutating func readFile(
        _ path: String, _ options: [OptionSpec]
    ) throws(KappaError) {
        func refusal(because reason: String) -> KappaError {
            KappaError(
                .usage, "cannot use the settings", at: path, because: reason,
                advice: "Write a file with lines of `name = value`, or remove it")
        }
        var status = stat()
        // A link to a file that is missing is no absence of settings.
        if lstat(path, &status) == 0 {
            guard stat(path, &status) == 0 else {
                throw refusal(
                    because: "it is a link that cannot be followed: \(IOFailure.text(of: errno))")
            }
            // Opening a pipe would wait for a writer.
            guard status.st_mode & S_IFMT == S_IFREG else {
                throw refusal(because: "it is not a file")
            }
        } else {
            // Where the folder cannot be searched, what the command does there says so.
            return
        }
        guard let text = try InputFile.text(of: path, atMost: Self.mostBytes) else {
            throw refusal(because: "it is larger than \(Self.mostBytes >> 10) kB")
        }
        let whole = text.hasPrefix("\u{FEFF}") ? text.dropFirst() : text[...]
        let lines = whole.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
        for (index, line) in lines.enumerated() {
            try readLine(Self.trimmed(Self.withoutComment(line)), path, index + 1, options)
        }
    }

    private mutating func readLine(
        _ line: Substring, _ path: String, _ number: Int, _ options: [OptionSpec]
    ) throws(KappaError) {
        if line.isEmpty { return }
        func refusal(_ what: String, because reason: String?, _ advice: String) -> KappaError {
            KappaError(.usage, what, at: "\(path), line \(number)", because: reason, advice: advice)
        }
        let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else {
            throw refusal(
                "\"\(Self.shown(line))\" is not a setting", because: nil,
                "Write a line such as memory = 512M")
        }
        let (name, value) = (String(Self.trimmed(parts[0])), String(Self.trimmed(parts[1])))
        let names = options.map(\.settingName)
        guard let option = options.first(where: { $0.settingName == name }) else {
            let other = Spelling.nearest(name, among: names)
            throw refusal(
                "there is no setting \"\(Self.shown(parts[0]))\"",
                because: other.map { "did you mean \($0)?" },
                "`kappa help config` lists the settings")
        }
        guard option.isInFile else {
            throw refusal(
                "\(name) cannot be set here", because: "this file is in the data folder",
                "Set \(option.variable), or write \(option.name)")
        }
        if value.isEmpty {
            throw refusal("\(name) lacks its value", because: nil, "Write it, or remove the line")
        }
        if case .file(_, let earlier)? = entries[option.name]?.place {
            throw refusal(
                "\(name) is set twice", because: "line \(earlier) sets it, too", "Remove one")
        }
        entries[option.name] = Entry(value: value, place: .file(path, line: number))
    }

    /// The start of a text that may be long.
    private static func shown(_ text: Substring) -> String {
        let text = trimmed(text)
        return text.count > 60 ? text.prefix(60) + "…" : String(text)
    }

    private static func withoutComment(_ line: Substring) -> Substring {
        var before: Character = " "
        for index in line.indices {
            if line[index] == "#", before.isWhitespace { return line[..<index] }
            before = line[index]
        }
        return line
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop { $0.isWhitespace }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}

extension OptionSpec {
    /// Its name in `kappa.conf`.
    var settingName: String { String(name.drop { $0 == "-" }) }

    /// The variable that sets it.
    var variable: String {
        "KAPPA_" + settingName.uppercased().map { $0 == "-" ? "_" : "\($0)" }.joined()
    }

    /// Whether `kappa.conf` may set it; the file cannot say which folder it is in.
    var isInFile: Bool { name != "--data" }
}
