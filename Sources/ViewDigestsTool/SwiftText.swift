/// The text of a Swift file as far as it means something: without comments, without the white space
/// that a formatter may change, with string literals as they are.
///
/// A line break stays one where it may part two statements; elsewhere white space is one space, or
/// none beside brackets and commas.
///
/// Regular expressions between slashes are not read: where a `/` ends and begins one, only a compiler knows
/// for certain. A file with something that could be one counts byte for byte.
struct SwiftText {
    private let bytes: [UInt8]
    private let isForDigest: Bool
    private var at = 0
    private var output: [UInt8] = []
    /// The code outside of string literals, to look for calls in.
    private var codeOnly: [UInt8] = []
    private var brackets: [Bracket] = []
    private var gap = Gap.none
    /// Whether the code so far ends in a view, `View(…) { … }`, and perhaps what is called on it.
    private var endsInView = false
    /// Whether the code so far ends in `View(…)`, behind which the view's steps stand.
    private var endsInViewCall = false
    /// Whether something stands here that could be a regular expression between slashes.
    private var mayHoldRegex = false

    private struct Bracket {
        var byte: UInt8
        /// Whether it is that of `View(`, or the brace of such a view's steps.
        var isView: Bool
        /// Whether it is that of a call on a view.
        var isOnView: Bool
    }

    private enum Gap: Int { case none, space, line }

    /// - Parameter forDigest: Whether what does not say what rows a view makes is left out: what stands
    ///   in the brackets of `ViewSet(…)`, the gates of `.promote(when: …)`, and `.indexed()`.
    static func normalised(_ bytes: [UInt8], forDigest: Bool = false) -> [UInt8] {
        var text = SwiftText(bytes: bytes, isForDigest: forDigest)
        text.run()
        return text.mayHoldRegex ? bytes : text.output
    }

    /// Whether a file defines a view: whether it calls `View(` or `View<…>(`.
    static func definesView(_ bytes: [UInt8]) -> Bool {
        var text = SwiftText(bytes: bytes, isForDigest: false)
        text.run()
        let code = text.mayHoldRegex ? bytes : text.codeOnly
        let name = Array("View".utf8)
        var index = 0
        while index + name.count < code.count {
            let end = index + name.count
            let before = index == 0 ? UInt8(ascii: " ") : code[index - 1]
            if code[index..<end].elementsEqual(name), !isWord(before),
                code[end] == UInt8(ascii: "(") || code[end] == UInt8(ascii: "<")
            {
                return true
            }
            index += 1
        }
        return false
    }

    private init(bytes: [UInt8], isForDigest: Bool) {
        self.bytes = bytes
        self.isForDigest = isForDigest
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "_") || byte >= 0x80
            || (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte)
            || (0x61...0x7A).contains(byte)
    }

    private func starts(_ text: StaticString, at index: Int) -> Bool {
        let count = text.utf8CodeUnitCount
        guard index + count <= bytes.count else { return false }
        return (0..<count).allSatisfy { bytes[index + $0] == text.utf8Start[$0] }
    }

    private mutating func run() {
        while at < bytes.count {
            if skipSpace() { continue }
            if mayStartRegex() {
                mayHoldRegex = true
                return
            }
            if let hashes = stringStart() {
                closeGap(before: bytes[at])
                endsInView = false
                copyString(hashes: hashes)
            } else if isForDigest, startsListing() {
                skipListing()
            } else if isForDigest, startsGates() {
                skipGates()
            } else if isForDigest, endsInView, starts(Self.indexed, at: at) {
                at += Self.indexed.utf8CodeUnitCount
            } else {
                copyCode()
            }
        }
    }

    /// Skips a comment or white space; false where neither stands here.
    private mutating func skipSpace() -> Bool {
        if starts("//", at: at) {
            while at < bytes.count, bytes[at] != 0x0A { at += 1 }
        } else if starts("/*", at: at) {
            let start = at
            skipBlockComment()
            widenGap(bytes[start..<at].contains(0x0A) ? .line : .space)
        } else if [0x20, 0x09, 0x0A, 0x0D].contains(bytes[at]) {
            widenGap(bytes[at] == 0x0A ? .line : .space)
            at += 1
        } else {
            return false
        }
        return true
    }

    private mutating func widenGap(_ wider: Gap) {
        if wider.rawValue > gap.rawValue { gap = wider }
    }

    private mutating func copyCode() {
        let byte = bytes[at]
        let beginsStatement = gap == .line && byte != UInt8(ascii: ".")
        closeGap(before: byte)
        switch byte {
        case UInt8(ascii: "("), UInt8(ascii: "["), UInt8(ascii: "{"):
            let isView = byte == UInt8(ascii: "{") ? endsInViewCall : callsView
            let isCall = byte == UInt8(ascii: "(") && !isView
            brackets.append(
                Bracket(byte: byte, isView: isView, isOnView: isCall && endsInView))
            (endsInView, endsInViewCall) = (false, false)
        case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"):
            let opened = brackets.popLast()
            let isView = opened?.isView == true
            endsInViewCall = isView && byte == UInt8(ascii: ")")
            endsInView = opened?.isOnView == true || isView && byte == UInt8(ascii: "}")
        case _ where byte == UInt8(ascii: ".") || Self.isWord(byte):
            if beginsStatement { endsInView = false }
            endsInViewCall = false
        default: (endsInView, endsInViewCall) = (false, false)
        }
        output.append(byte)
        codeOnly.append(byte)
        at += 1
    }

    /// Writes what the white space before `next` means.
    private mutating func closeGap(before next: UInt8) {
        defer { gap = .none }
        guard gap != .none, let last = output.last else { return }
        if "([{,;".utf8.contains(last) || "{)]},;".utf8.contains(next) { return }
        var byte: UInt8 = 0x20
        if gap == .line {
            if next == UInt8(ascii: ".") { return }
            let isInList = brackets.last.map { $0.byte != UInt8(ascii: "{") } ?? false
            // A statement goes on behind an operator, and a closure's begins behind "in".
            let goesOn = "=:&|+-*/%<^~".utf8.contains(last) || endsInIn
            if !isInList, !goesOn { byte = 0x0A }
        }
        output.append(byte)
        codeOnly.append(byte)
    }

    private var endsInIn: Bool {
        output.count > 2 && output.suffix(2).elementsEqual("in".utf8)
            && !Self.isWord(output[output.count - 3])
    }

    /// Whether a `(` behind the code so far is that of `View(` or `View<…>(`.
    private var callsView: Bool {
        var code = codeOnly[...]
        if code.last == UInt8(ascii: ">") {
            guard let open = code.lastIndex(of: UInt8(ascii: "<")) else { return false }
            code = code[..<open]
        }
        guard code.suffix(4).elementsEqual("View".utf8) else { return false }
        return code.dropLast(4).last.map { !Self.isWord($0) } ?? true
    }

    /// Whether a regular expression between slashes may begin here: `#/`, or a slash in front of what is no
    /// space, behind what is no value.
    private func mayStartRegex() -> Bool {
        if bytes[at] == UInt8(ascii: "#") {
            var index = at
            while index < bytes.count, bytes[index] == UInt8(ascii: "#") { index += 1 }
            return index < bytes.count && bytes[index] == UInt8(ascii: "/")
        }
        guard bytes[at] == UInt8(ascii: "/"), at + 1 < bytes.count,
            ![0x20, 0x09, 0x0A, 0x0D].contains(bytes[at + 1])
        else { return false }
        guard gap == .none, let last = output.last else { return true }
        return !Self.isWord(last) && !")]}\"".utf8.contains(last)
    }

    private func startsListing() -> Bool {
        starts("ViewSet(", at: at) && (output.last.map { gap != .none || !Self.isWord($0) } ?? true)
    }

    /// Copies `ViewSet()` alone; what stands in its brackets is read over.
    private mutating func skipListing() {
        for _ in 0..<"ViewSet(".utf8.count { copyCode() }
        let kept = (output.count, codeOnly.count)
        skipToClosingBracket(kept)
        output.append(UInt8(ascii: ")"))
        codeOnly.append(UInt8(ascii: ")"))
    }

    private static let indexed: StaticString = ".indexed()"

    /// Whether `.promote(when:` stands here, called on a view.
    private func startsGates() -> Bool {
        let call: StaticString = ".promote("
        guard endsInView, starts(call, at: at) else { return false }
        var index = at + call.utf8CodeUnitCount
        while index < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[index]) { index += 1 }
        return starts("when:", at: index)
    }

    /// Reads over `.promote(when: …)`, and what white space stands before it.
    private mutating func skipGates() {
        let kept = (output.count, codeOnly.count)
        let before = gap
        for _ in 0..<".promote(".utf8.count { copyCode() }
        skipToClosingBracket(kept)
        gap = before
        endsInView = true
    }

    /// Reads to the end of the bracket that has just been opened, and forgets what was copied since.
    private mutating func skipToClosingBracket(_ kept: (output: Int, code: Int)) {
        let depth = brackets.count
        while at < bytes.count, brackets.count >= depth {
            if skipSpace() { continue }
            if mayStartRegex() {
                mayHoldRegex = true
                return
            }
            if let hashes = stringStart() { copyString(hashes: hashes) } else { copyCode() }
        }
        output.removeLast(output.count - kept.output)
        codeOnly.removeLast(codeOnly.count - kept.code)
    }

    private mutating func skipBlockComment() {
        var depth = 0
        repeat {
            if starts("/*", at: at) {
                depth += 1
                at += 2
            } else if starts("*/", at: at) {
                depth -= 1
                at += 2
            } else {
                at += 1
            }
        } while depth > 0 && at < bytes.count
    }

    /// The number of `#` before a string literal that begins here; nil if none does.
    private func stringStart() -> Int? {
        var index = at
        while index < bytes.count, bytes[index] == UInt8(ascii: "#") { index += 1 }
        guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else { return nil }
        return index - at
    }

    /// Copies a string literal. What is interpolated is copied too, comments and white space and all:
    /// that only makes the digest more careful.
    private mutating func copyString(hashes: Int) {
        copy(hashes)
        let quotes = starts("\"\"\"", at: at) ? 3 : 1
        copy(quotes)
        while at < bytes.count {
            if bytes[at] == UInt8(ascii: "\\"), closes(hashes, at: at + 1) {
                if at + 1 + hashes < bytes.count, bytes[at + 1 + hashes] == UInt8(ascii: "(") {
                    copyInterpolation(hashes: hashes)
                    continue
                }
                copy(min(2 + hashes, bytes.count - at))
            } else if starts(quotes == 3 ? "\"\"\"" : "\"", at: at), closes(hashes, at: at + quotes)
            {
                copy(quotes + hashes)
                return
            } else {
                copy(1)
            }
        }
    }

    /// Copies `\(…)`, in which there may be strings again.
    private mutating func copyInterpolation(hashes: Int) {
        copy(2 + hashes)
        var depth = 1
        while at < bytes.count, depth > 0 {
            if let hashes = stringStart() {
                copyString(hashes: hashes)
                continue
            }
            // It may be a division; to know would take more than it is worth.
            if bytes[at] == UInt8(ascii: "/") { mayHoldRegex = true }
            if bytes[at] == UInt8(ascii: "(") { depth += 1 }
            if bytes[at] == UInt8(ascii: ")") { depth -= 1 }
            copy(1)
        }
    }

    private func closes(_ hashes: Int, at index: Int) -> Bool {
        index + hashes <= bytes.count
            && bytes[index..<(index + hashes)].allSatisfy { $0 == UInt8(ascii: "#") }
    }

    private mutating func copy(_ count: Int) {
        output += bytes[at..<min(at + count, bytes.count)]
        at += count
    }
}
