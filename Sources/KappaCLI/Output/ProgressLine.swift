import CKappa
import KappaCore

/// Shows progress on standard error: a bar on a terminal, otherwise a line every few seconds.
final class ProgressLine {
    private let label: String
    private let start = SystemClock.monotonicSeconds()
    private var lastShown = 0.0
    private var lastOffset = 0
    private var firstOffset: Int?
    private var rate = 0.0
    private var isShown = false

    init(_ label: String) { self.label = label }

    /// Shows the progress, unless that was done a moment ago.
    func show(_ offset: Int, of end: Int) {
        let time = SystemClock.monotonicSeconds()
        guard let first = firstOffset else {
            firstOffset = offset
            lastOffset = offset
            lastShown = time
            return
        }
        let pause = time - lastShown
        guard pause >= (Output.errorIsTerminal ? 0.1 : 3) else { return }
        let speed = Double(offset - lastOffset) / pause
        rate = rate == 0 ? Double(offset - first) / (time - start) : rate * 0.7 + speed * 0.3
        lastShown = time
        lastOffset = offset
        let lag = max(0, end - offset)
        var figures = "\(Self.grouped(offset)) events  \(Self.short(rate))/s"
        if end > 0 { figures += "  lag \(Self.grouped(lag))" }
        if rate > 1, lag > 0 { figures += "  \(Self.duration(Double(lag) / rate)) to go" }
        let share = end > 0 ? Double(offset) / Double(end) : nil
        let columns = Output.errorIsTerminal ? Int(kappa_terminal_columns(2)) : 0
        let line = Self.line(label, share, figures, columns: columns)
        if Output.errorIsTerminal {
            Output.sayInPlace(line)
            isShown = true
        } else {
            Output.say(line)
        }
    }

    /// Removes the bar.
    func clear() {
        guard isShown else { return }
        Output.sayInPlace("")
        isShown = false
    }

    /// At most one line of a terminal, because a wrapped line cannot be overwritten. The bar takes the room
    /// that the figures leave, and is left out if that is too little.
    /// - Parameters:
    ///   - share: How much is done, from 0 to 1; nil if the end is unknown.
    ///   - columns: The width of the terminal; 0 if unknown.
    static func line(
        _ label: String, _ share: Double?, _ figures: String, columns: Int
    ) -> String {
        // Leave room for the terminal's echo of Ctrl-C.
        let most = columns > 0 ? max(0, columns - 3) : .max
        var line = "\(label)  \(figures)"
        if let share = share.map({ min(1, max(0, $0)) }) {
            let percent = "\(Int(share * 100)) %"
            line = "\(label)  \(percent)  \(figures)"
            // The bar needs two brackets and a space.
            let room = most - line.count - 3
            if room >= narrowestBar {
                let width = min(room, widestBar)
                let full = Int(share * Double(width))
                let bar =
                    String(repeating: "█", count: full)
                    + String(repeating: "░", count: width - full)
                line = "\(label)  [\(bar)] \(percent)  \(figures)"
            }
        }
        return String(line.prefix(most))
    }

    private static let widestBar = 24
    private static let narrowestBar = 6

    static func grouped(_ number: Int) -> String {
        var digits = Array(String(number))
        var index = digits.count - 3
        while index > 0, digits[index - 1] != "-" {
            digits.insert(",", at: index)
            index -= 3
        }
        return String(digits)
    }

    /// 1,234,567 as "1.23 M".
    static func short(_ number: Double) -> String {
        switch number {
        case 1e6...: "\(hundredths(number / 1e6)) M"
        case 1e4...: "\(Int(number / 1e3)) k"
        default: "\(Int(number))"
        }
    }

    static func hundredths(_ number: Double) -> String {
        let scaled = Int((number * 100).rounded())
        let rest = scaled % 100
        return "\(scaled / 100).\(rest < 10 ? "0" : "")\(rest)"
    }

    /// 1,234,567 bytes as "1.23 MB".
    static func size(_ bytes: Int) -> String {
        switch bytes {
        case 1_000_000_000...: "\(hundredths(Double(bytes) / 1e9)) GB"
        case 1_000_000...: "\(hundredths(Double(bytes) / 1e6)) MB"
        case 1_000...: "\(bytes / 1_000) kB"
        default: "\(bytes) B"
        }
    }

    static func duration(_ seconds: Double) -> String {
        let whole = Int(seconds.rounded(.up))
        if whole < 60 { return "\(whole) s" }
        if whole < 3_600 { return "\(whole / 60) min \(whole % 60) s" }
        return "\(whole / 3_600) h \(whole / 60 % 60) min"
    }
}
