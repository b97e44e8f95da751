import Foundation
import Testing

@testable import KappaCLI

/// Keeps README.md and docs/ up to date: their Swift is compiled here, their commands exist, and their links
/// lead to existing files.
@Suite("The documentation")
struct DocsTests {
    @Test("every Swift block is code that is compiled, word for word", arguments: Guide.all)
    func swiftBlocks(_ guide: Guide) throws {
        for block in guide.blocks where block.language == "swift" {
            let place = "\(guide.name), line \(block.line)"
            switch block.origin {
            case .snippet(let name):
                let snippet = try #require(
                    Snippets.all[name], "\(place): no test file has a snippet \(name)")
                #expect(block.text == snippet, "\(place) differs from snippet \(name)")
            case .file(let path):
                let source = try Package.text(of: path)
                #expect(source.contains(block.text), "\(place) is not in \(path) as it stands")
            case nil:
                Issue.record("\(place): name the block's origin in a comment above it")
            }
        }
    }

    @Test("every snippet is shown in some guide")
    func snippetsAreShown() {
        let shown = Guide.all.flatMap(\.blocks).compactMap { block in
            if case .snippet(let name) = block.origin { name } else { nil }
        }
        #expect(Set(shown) == Set(Snippets.all.keys))
    }

    @Test("every command and option that a guide names exists", arguments: Guide.all)
    func commands(_ guide: Guide) throws {
        for words in guide.commands {
            if ["help", "--version"].contains(words.first) { continue }
            let text = "kappa " + words.joined(separator: " ")
            guard let (spec, rest) = try? Program.find(words[...]) else {
                Issue.record("\(guide.name): there is no command `\(text)`")
                continue
            }
            for word in rest where word.hasPrefix("--") {
                let name = String(word.prefix { $0 != "=" })
                #expect(
                    spec.allOptions.contains { $0.name == name },
                    "\(guide.name): `\(text)` has no option \(name)")
            }
        }
    }

    @Test("every command is described somewhere")
    func commandsAreDescribed() {
        let named = Guide.all.flatMap(\.commands).compactMap { words in
            (try? Program.find(words[...]))?.0.name
        }
        for spec in Commands.shown {
            #expect(named.contains(spec.name), "no guide shows `kappa \(spec.name)`")
        }
    }

    @Test("links between the guides lead to existing files", arguments: Guide.all)
    func links(_ guide: Guide) {
        let folder = Package.root.appending(path: guide.name).deletingLastPathComponent()
        for match in guide.text.matches(of: /\]\(([^)#\s]+)[^)]*\)/) {
            let target = String(match.1)
            if target.hasPrefix("http") { continue }
            let path = folder.appending(path: target).path()
            #expect(
                FileManager.default.fileExists(atPath: path), "\(guide.name) links to \(target)")
        }
    }
}

private enum Package {
    /// The package's folder; this file is Tests/KappaCoreTests/Docs/DocsTests.swift.
    static let root = (0..<4).reduce(URL(filePath: #filePath)) { url, _ in
        url.deletingLastPathComponent()
    }

    static func text(of path: String) throws -> String {
        try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    static func files(in folder: String, _ suffix: String) -> [String] {
        let all = FileManager.default.enumerator(atPath: root.appending(path: folder).path())
        return (all?.compactMap { $0 as? String } ?? []).filter { $0.hasSuffix(suffix) }.sorted()
            .map { "\(folder)/\($0)" }
    }
}

/// The code between `// docs: name` and `// docs: end` in the files beside this one.
private enum Snippets {
    static let all: [String: String] = {
        var snippets: [String: String] = [:]
        for file in Package.files(in: "Tests/KappaCoreTests/Docs", "Guide.swift") {
            var name: String?
            var lines: [Substring] = []
            let text = (try? Package.text(of: file)) ?? ""
            for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
                let words = line.trimmingPrefix(while: \.isWhitespace)
                if words == "// docs: end" {
                    if let name { snippets[name] = undented(lines) }
                    name = nil
                } else if words.hasPrefix("// docs: ") {
                    name = String(words.dropFirst("// docs: ".count))
                    lines = []
                } else {
                    lines.append(line)
                }
            }
        }
        return snippets
    }()

    private static func undented(_ lines: [Substring]) -> String {
        let indents = lines.filter { !$0.isEmpty }.map { $0.prefix { $0 == " " }.count }
        return lines.map { $0.dropFirst(indents.min() ?? 0) }.joined(separator: "\n")
    }
}

/// One page of the documentation.
struct Guide: Sendable, CustomTestStringConvertible {
    var name: String
    var text: String
    var testDescription: String { name }

    static let all = (["README.md"] + Package.files(in: "docs", ".md")).map { name in
        Guide(name: name, text: (try? Package.text(of: name)) ?? "")
    }

    /// Where a block of Swift comes from: `<!-- docs: snippet -->` or `<!-- from: path -->` above it.
    enum Origin: Equatable {
        case snippet(String)
        case file(String)
    }

    struct Block {
        var language: String
        var origin: Origin?
        var line: Int
        var text: String
    }

    /// The fenced blocks of code.
    var blocks: [Block] {
        var blocks: [Block] = []
        var open: Block?
        var lines: [Substring] = []
        var origin: Origin?
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            if line.hasPrefix("```"), var block = open {
                block.text = lines.joined(separator: "\n")
                blocks.append(block)
                open = nil
                origin = nil
            } else if line.hasPrefix("```") {
                open = Block(
                    language: String(line.dropFirst(3)), origin: origin, line: index + 1, text: "")
                lines = []
            } else if open != nil {
                lines.append(line)
            } else if let match = line.wholeMatch(of: /<!-- (docs|from): (\S+) -->/) {
                let name = String(match.2)
                origin = match.1 == "docs" ? .snippet(name) : .file(name)
            }
        }
        return blocks
    }

    /// The words after `kappa` of every command: in `code`, and after the prompt of a block.
    var commands: [[String]] {
        var lines: [String] = []
        for block in blocks where block.language != "swift" {
            for line in block.text.split(separator: "\n") where line.hasPrefix("$ ") {
                lines.append(String(line.dropFirst(2)))
            }
        }
        lines += text.matches(of: /`([^`\n]*kappa [^`\n]+)`/).map { String($0.1) }
        return lines.flatMap { line in
            line.matches(of: /(?:^|[\s|(\/])kappa ((?:[^|;&<>"'(]|'[^']*'|"[^"]*")+)/).map {
                match in
                match.1.split(separator: " ").map(String.init)
            }
        }
    }
}
