import Foundation
import Testing

/// The public declarations of a module, one a line, as they stand in the sources: what users can rely on.
enum PublicSurface {
    /// - Parameter files: The module's sources.
    static func lines(of files: [SourceTree.File]) -> [String] {
        var found: Set<String> = []
        for file in files { found.formUnion(lines(of: file)) }
        return found.sorted()
    }

    private static func lines(of file: SourceTree.File) -> [String] {
        var found: [String] = []
        // The declarations around the current line, with the indentation of each.
        var outer: [(indent: Int, name: String)] = []
        let lines = file.code.split(separator: "\n", omittingEmptySubsequences: false)
        var index = 0
        while index < lines.count {
            let line = lines[index]
            index += 1
            let text = line.drop { $0 == " " }
            if text.isEmpty || text.hasPrefix("}") || text.hasPrefix(")") { continue }
            let indent = line.count - text.count
            while let last = outer.last, last.indent >= indent { outer.removeLast() }
            var words = text.split(separator: " ")
            while let first = words.first, first.hasPrefix("@") { words.removeFirst() }
            if words.isEmpty { continue }
            let opens = ["struct", "class", "enum", "protocol", "extension", "actor"]
            let modifiers = ["public", "package", "final", "indirect", "internal", "private"]
            let kind = words.first { !modifiers.contains(String($0)) }
            let isPublic =
                words.prefix { modifiers.contains(String($0)) }.contains("public")
                || isMemberOfPublicProtocol(outer)
            if let kind, opens.contains(String(kind)) || isPublic {
                var whole = String(text)
                // A signature ends where its body begins, or with its line.
                while depth(whole) > 0, index < lines.count {
                    whole += " " + lines[index].drop { $0 == " " }
                    index += 1
                }
                while index < lines.count, continues(lines[index]), !whole.contains("{") {
                    whole += " " + lines[index].drop { $0 == " " }
                    index += 1
                }
                let signature = signature(whole)
                if opens.contains(String(kind)) {
                    outer.append((indent, name(of: signature)))
                }
                if isPublic {
                    let place = outer.dropLast(opens.contains(String(kind)) ? 1 : 0)
                        .map(\.name).joined(separator: ".")
                    found.append(place.isEmpty ? signature : "\(place): \(signature)")
                }
            }
        }
        return found
    }

    /// What a public protocol requires is public without saying so.
    private static func isMemberOfPublicProtocol(_ outer: [(indent: Int, name: String)]) -> Bool {
        outer.last?.name.hasPrefix("protocol ") == true
    }

    private static func continues(_ line: Substring) -> Bool {
        let text = line.drop { $0 == " " }
        return text.hasPrefix("->") || text.hasPrefix("where ") || text.hasPrefix("{")
            || text.hasPrefix(") ")
    }

    private static func depth(_ text: String) -> Int {
        text.prefix { $0 != "{" }.reduce(0) { depth, character in
            depth + ("([".contains(character) ? 1 : ")]".contains(character) ? -1 : 0)
        }
    }

    /// A declaration without its body, its value, and what does not concern users.
    private static func signature(_ text: String) -> String {
        var text = text
        // The body begins with the first brace outside of brackets.
        var depth = 0
        for (index, character) in zip(text.indices, text) {
            if "([".contains(character) { depth += 1 }
            if ")]".contains(character) { depth -= 1 }
            if character == "{", depth == 0 {
                let body = text[index...]
                let sets = body.contains("get") && body.contains("set")
                text = String(text[..<index]) + (sets ? "{ get set }" : "")
                break
            }
        }
        if let value = text.range(of: " = "), !text.contains("func "), !text.contains("init"),
            !text.contains("typealias")
        {
            text = String(text[..<value.lowerBound])
        }
        for word in ["@inlinable ", "@discardableResult ", "public ", "final "] {
            text = text.replacingOccurrences(of: word, with: "")
        }
        return text.split(separator: " ").joined(separator: " ")
            .replacingOccurrences(of: "( ", with: "(").replacingOccurrences(of: " )", with: ")")
    }

    /// `struct View<Row>: AnyView` is `View`; a protocol keeps the word, as its members are public.
    private static func name(of signature: String) -> String {
        let words = signature.split(separator: " ").map(String.init)
        guard
            let kind = words.firstIndex(where: {
                ["struct", "class", "enum", "protocol", "extension", "actor"].contains($0)
            }), kind + 1 < words.count
        else { return signature }
        let name = String(
            words[kind + 1].prefix { $0.isLetter || $0.isNumber || "._".contains($0) })
        return words[kind] == "protocol" ? "protocol \(name)" : name
    }
}

@Suite("The public surface") struct PublicSurfaceTests {
    private static let modules = ["KappaCore", "KappaSinks", "KappaTesting", "KappaCLI"]
    private static let file = (0..<4).reduce(URL(filePath: #filePath)) { url, _ in
        url.deletingLastPathComponent()
    }.appending(path: "fixtures/public-api.txt")

    private static func surface() throws -> String {
        var text = ""
        for module in modules {
            let lines = PublicSurface.lines(of: try SourceTree.files("Sources/\(module)"))
            text += "# \(module)\n\n" + lines.joined(separator: "\n") + "\n\n"
        }
        return text
    }

    /// After a change that is meant, `KAPPA_WRITE_API=1 swift test --filter PublicSurfaceTests` writes the file.
    @Test("it is as fixtures/public-api.txt has it, so that each change of it is seen")
    func surface() throws {
        let surface = try Self.surface()
        if ProcessInfo.processInfo.environment["KAPPA_WRITE_API"] != nil {
            try surface.write(to: Self.file, atomically: true, encoding: .utf8)
        }
        let known = try String(contentsOf: Self.file, encoding: .utf8)
        let (now, before) = (Set(surface.split(separator: "\n")), Set(known.split(separator: "\n")))
        let (added, removed) = (now.subtracting(before).sorted(), before.subtracting(now).sorted())
        #expect(added.isEmpty && removed.isEmpty, "new: \(added), gone: \(removed)")
    }

    @Test("declarations are found as they are written")
    func planted() {
        let code = """
            public struct Place<A: Sendable>: Sendable {
                public var name: String = "x"
                var hidden = 1
                public private(set) var count = 0
                @discardableResult
                public func go(
                    _ a: A, to b: Int = 3
                ) throws -> Int {
                }
            }
            public protocol Goes {
                var speed: Int { get set }
                func go()
            }
            extension Place where A == Int {
                public static func + (a: Place, b: Place) -> Place { a }
            }
            struct Inner { public var x = 1 }
            """
        let found = PublicSurface.lines(of: [
            SourceTree.File(path: "Sources/KappaCore/Base/A.swift", text: code)
        ])
        #expect(
            found == [
                "Place: func go(_ a: A, to b: Int = 3) throws -> Int",
                "Place: private(set) var count",
                "Place: static func + (a: Place, b: Place) -> Place",
                "Place: var name: String", "protocol Goes", "protocol Goes: func go()",
                "protocol Goes: var speed: Int { get set }", "struct Place<A: Sendable>: Sendable",
            ])
    }
}
