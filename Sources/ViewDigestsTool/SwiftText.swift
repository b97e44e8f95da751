/// The text of a Swift file as far as it means something: comments and runs of white space are one
/// space, string literals stay as they are.
struct SwiftText {
    private let bytes: [UInt8]
    private var at = 0
    private var output: [UInt8] = []
    /// The code outside of string literals, to look for calls in.
    private var codeOnly: [UInt8] = []

    static func normalised(_ bytes: [UInt8]) -> [UInt8] {
        var text = SwiftText(bytes: bytes)
        text.run()
        return text.output
    }

    /// Whether a file defines a view: whether it calls `View(` or `View<…>(`.
    static func definesView(_ bytes: [UInt8]) -> Bool {
        var text = SwiftText(bytes: bytes)
        text.run()
        let code = text.codeOnly
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

    private init(bytes: [UInt8]) { self.bytes = bytes }

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
            if starts("//", at: at) {
                while at < bytes.count, bytes[at] != 0x0A { at += 1 }
            } else if starts("/*", at: at) {
                skipBlockComment()
                space()
            } else if [0x20, 0x09, 0x0A, 0x0D].contains(bytes[at]) {
                at += 1
                space()
            } else if let hashes = stringStart() {
                copyString(hashes: hashes)
            } else {
                output.append(bytes[at])
                codeOnly.append(bytes[at])
                at += 1
            }
        }
    }

    /// A space, unless one stands there already.
    private mutating func space() {
        if output.last != 0x20 { output.append(0x20) }
        if codeOnly.last != 0x20 { codeOnly.append(0x20) }
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

    /// Copies a string literal. What is interpolated is copied too, comments and all: that only makes
    /// the digest more careful.
    private mutating func copyString(hashes: Int) {
        copy(hashes)
        let quotes = starts("\"\"\"", at: at) ? 3 : 1
        copy(quotes)
        while at < bytes.count {
            if bytes[at] == UInt8(ascii: "\\"), closes(hashes, at: at + 1) {
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

    private func closes(_ hashes: Int, at index: Int) -> Bool {
        index + hashes <= bytes.count
            && bytes[index..<(index + hashes)].allSatisfy { $0 == UInt8(ascii: "#") }
    }

    private mutating func copy(_ count: Int) {
        output += bytes[at..<min(at + count, bytes.count)]
        at += count
    }
}
