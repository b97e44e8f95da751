import KappaCore

/// The options of a command: `--name value`, each name at most once.
struct BenchArguments {
    private var values: [String: String] = [:]
    private let help: String

    /// - Parameters:
    ///   - names: The known options.
    ///   - help: The help that an error shows.
    init(_ words: ArraySlice<String>, _ names: [String], help: String) throws(KappaError) {
        self.help = help
        var rest = words
        while let name = rest.popFirst() {
            guard names.contains(name) else { throw usage("there is no option \(name)") }
            guard let value = rest.popFirst() else { throw usage("\(name) lacks its value") }
            guard values.updateValue(value, forKey: name) == nil else {
                throw usage("\(name) is given twice")
            }
        }
    }

    func text(_ name: String) -> String? { values[name] }

    func number(
        _ name: String, in range: ClosedRange<Int> = 1...1_000_000_000_000
    ) throws(KappaError) -> Int? {
        guard let text = values[name] else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw usage(
                "\(name) takes a whole number from \(range.lowerBound) to \(range.upperBound), "
                    + "not \(text)")
        }
        return number
    }

    /// Seconds, with or without a fraction, up to about thirty years.
    func seconds(_ name: String) throws(KappaError) -> Double? {
        guard let text = values[name] else { return nil }
        guard let seconds = Double(text), (0...1e9).contains(seconds) else {
            throw usage("\(name) takes a number of seconds, not \(text)")
        }
        return seconds
    }

    /// A list separated by commas, with each item at most once.
    func list(_ name: String) throws(KappaError) -> [String]? {
        guard let text = values[name] else { return nil }
        let items = text.split(separator: ",").map(String.init)
        if items.isEmpty { throw usage("\(name) takes a list with commas") }
        var seen: Set<String> = []
        for item in items where !seen.insert(item).inserted {
            throw usage("\(name) has \(item) twice")
        }
        return items
    }

    func usage(_ what: String) -> KappaError { KappaError(.usage, what, advice: help) }
}
