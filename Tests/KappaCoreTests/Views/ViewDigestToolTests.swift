import Testing
import Views

@testable import KappaCore
@testable import ViewDigestsTool

@Suite("Digests of view files") struct ViewDigestToolTests {
    private static let view = #"""
        import KappaCore

        /// Counts.
        public let counts = View("counts") {
            Events(Entry.self, at: \.at)
                .grouped(by: \.user)
                .aggregate(.count().as("n"), .sum(\.amount).as("sum"))
        }
        """#

    private func digest(_ text: String, helpers: [String] = []) -> String? {
        var sources = [(name: "Counts.swift", bytes: Array(text.utf8))]
        for (index, helper) in helpers.enumerated() {
            sources.append((name: "Helper\(index).swift", bytes: Array(helper.utf8)))
        }
        return TargetDigests(sources).files.first?.digest
    }

    private func text(_ source: String) -> String {
        String(decoding: SwiftText.normalised(Array(source.utf8)), as: UTF8.self)
    }

    @Test("comments and the layout of lines change no digest")
    func layout() throws {
        let digest = try #require(self.digest(Self.view))
        #expect(digest.count == 16)
        let changed: [(String) -> String] = [
            { "// A heading.\n\n" + $0 + "\n" }, { $0 + "\n\n// The end." }, { " \n" + $0 },
            { $0.replacing("/// Counts.", with: "") },
            { $0.replacing("/// Counts.", with: "/* /* a */ \" */") },
            { $0.replacing("    ", with: "\t") }, { $0.replacing("\n", with: "\r\n") },
            { $0.replacing("{\n", with: "{ // \"quoted\"\n") },
            {
                $0.replacing(
                    "aggregate(.count().as(\"n\"), ", with: "aggregate(\n.count().as(\"n\"),\n")
            },
            { $0.replacing("\"sum\"))", with: "\"sum\"\n    )\n    )") },
            { $0.replacing("\n        .grouped", with: ".grouped") },
            { $0.replacing("counts = View", with: "counts =\n    View") },
        ]
        for (index, change) in changed.enumerated() {
            let other = change(Self.view)
            #expect(other != Self.view, "change \(index) changes nothing")
            #expect(self.digest(other) == digest, "change \(index)")
        }
    }

    @Test("code changes the digest, and so do names, strings and their white space")
    func code() throws {
        let digest = try #require(self.digest(Self.view))
        let changed: [(String, String)] = [
            (#"\.user"#, #"\.place"#), (".sum", ".max"), ("\"n\"", "\"n \""),
            ("\"n\"", "\"/*n*/\""),
            ("\"counts\"", "\"counts2\""), ("let counts", "let others"),
            ("\n    Events", "\nEvents2"),
            ("Entry.self, at", "Entry . self, at"),
        ]
        for (old, new) in changed {
            let other = Self.view.replacing(old, with: new)
            #expect(other != Self.view, "\(old) is not there")
            #expect(self.digest(other) != digest, "\(old) → \(new)")
        }
    }

    @Test(
        "the contents of a regular expression change the digest, even spaces, slashes and quotes",
        arguments: [
            ("#/https://shop/#", "#/https://blog/#"), ("/blog  1/", "/blog 1/"),
            ("/[, ;]x/", "/[,;]x/"), (#"/\/*$/"#, #"/\/+$/"#),
            ("#/\"/# == \"x  y\"", "#/\"/# == \"x y\""),
            (#"/\/*$/, $0 == "x""#, #"/\/*$/, $0 == "y""#), ("##/a//b/##", "##/a//c/##"),
            ("\"\\(#/\"/#)  //a\"", "\"\\(#/\"/#)  //b\""),
            ("!/a //b/", "!/a //c/"), ("#/\n  a b // c\n/#", "#/\n  a b // d\n/#"),
        ])
    func regex(old: String, new: String) throws {
        func view(_ regex: String) -> String {
            Self.view.replacing(
                "\n        .grouped", with: "\n.filter { $0.url.contains(\(regex)) }.grouped")
        }
        #expect(digest(view(old)) != nil && digest(view(old)) != digest(view(new)))
        func counted(_ regex: String) -> String? {
            digest(
                Self.view,
                helpers: ["func isWanted(_ e: Entry) -> Bool { e.url.contains(\(regex)) }"])
        }
        #expect(counted(old) != nil && counted(old) != counted(new))
    }

    @Test("a division is not a regular expression: comments and layout beside it do not count")
    func division() {
        for line in ["let a = b / c", "let a = b/c", "let a = (b)/(c)", "let a = b[0]/c / d"] {
            #expect(text("\(line) // half\n") == text(line))
            #expect(text("\(line)  /* half */\n") == text(line))
        }
    }

    @Test("gates are left out of a view's digest, and nothing else is")
    func gatesOfViews() throws {
        let view = "let v = View(\"v\") { Events(E.self) }"
        let digest = try #require(self.digest(view))
        let same = [
            "\(view).promote(when: .manualApproval)",
            "\(view)\n    .promote(\n    when: .sql(\"a\"))",
            "\(view).indexed()", "\(view).promote(when: .check(\"a\") { $0.same > 1 }).indexed()",
            "\(view).indexed()\n  .promote(when: .manualApproval)",
        ]
        for other in same { #expect(self.digest(other) == digest, "\(other)") }
        func filtered(_ condition: String) -> String {
            "let v = View(\"v\") { Events(E.self).filter { \(condition) } }"
        }
        let others = [
            ("$0.promote(when: \"a\")", "$0.promote(when: \"b\")"),
            ("f { $0 }.promote(when: \"a\")", "f { $0 }.promote(when: \"b\")"),
            ("g($0).promote(when: 1)", "g($0).promote(when: 2)"),
            ("$0.text.indexed().isEmpty", "$0.text.isEmpty"),
            ("MyView(1).promote(when: 1)", "MyView(1).promote(when: 2)"),
        ]
        for (old, new) in others {
            #expect(self.digest(filtered(old)) != self.digest(filtered(new)), "\(old)")
        }
        func list(_ modifier: String, _ other: Int) -> String {
            "let all = [View<E>(\"v\") { Events(E.self) }\(modifier), view2.promote(when: \(other))]"
        }
        #expect(self.digest(list("", 1)) == self.digest(list(".promote(when: .a)", 1)))
        #expect(self.digest(list("", 1)) != self.digest(list("", 2)))
    }

    @Test("a line break that separates statements is not a space")
    func statements() {
        #expect(text("a\n-b") != text("a -b"))
        #expect(text("return\nf()") != text("return f()"))
        #expect(text("f(a,\n  b\n)") == text("f(a, b)"))
        #expect(text("{ a, b in\n  f()\n}") == text("{a, b in f()}"))
        #expect(text("x\n  .map { $0 }") == text("x.map { $0 }"))
    }

    @Test("strings stay as they are, raw, on several lines, and with strings inside of them")
    func strings() {
        for source in [
            ##"f("a  // b","/* c */")"##, ##"f(#"a " // \"# b"#)"##, "\"\"\"\n  a  \"b\"\n\"\"\"",
            ##"f("\(g("http://a  b"))  c")"##, ##"f("\\","a  b")"##, ##"f("\"  \"")"##,
            ##"f(#"\#(g("x  //y"))  z"#)"##, ##"f("")"##,
        ] {
            #expect(text(source) == source)
        }
        #expect(text("f(\"\\(g(\"//\"))\") // gone\nh()") == "f(\"\\(g(\"//\"))\")\nh()")
        #expect(text("a /* never closed") == "a")
        #expect(text("\"never closed") == "\"never closed")
    }

    @Test("a file that calls View( is a view file, and one that only mentions it is not")
    func definesView() {
        func defines(_ source: String) -> Bool { SwiftText.definesView(Array(source.utf8)) }
        #expect(defines("let v = View(\"v\") {}"))
        #expect(defines("let v: View<Row> = make()"))
        #expect(defines("let v = KappaCore.View(\"v\") {}"))
        #expect(!defines("let v = UIView(\"v\")"))
        #expect(!defines("let v = ViewSet([])"))
        #expect(!defines("// let v = View(\"v\")"))
        #expect(!defines("let v = \"View(\""))
        #expect(!defines(""))
    }

    @Test("a helper changes all views of its target, a list of views changes none")
    func helpers() throws {
        let digest = try #require(self.digest(Self.view, helpers: ["struct Entry {}"]))
        #expect(self.digest(Self.view, helpers: ["struct Entry { var a = 1 }"]) != digest)
        #expect(self.digest(Self.view, helpers: ["// An entry.\nstruct  Entry{ }\n"]) == digest)
        #expect(self.digest(Self.view, helpers: ["/* 1 */ struct Entry {}"]) == digest)
        let listings = ["[a]", "[a, b], digests: viewDigests", "[\n  a, // \")\"\n  f(\")\")]"]
        let digests = listings.map {
            self.digest(Self.view, helpers: ["public let all = ViewSet(\($0))\nfunc f() {}"])
        }
        #expect(Set(digests).count == 1)
        // Code beside the list is a helper like any other.
        #expect(
            self.digest(Self.view, helpers: ["let all = ViewSet([a])\nfunc f() { g() }"])
                != digests[0])
    }

    @Test("gates and .indexed() change no digest, however they are written")
    func gates() throws {
        let digest = try #require(self.digest(Self.view))
        let gates = [
            ".promote(when: .changedRows(atMost: 1))",
            "\n.promote(\n    when: .sql(\"SELECT ')' FROM new\"), .manualApproval\n)",
            " .promote(when: .check(\")\") { new in f(new) /* ) */ })",
            ".indexed()", "\n    .indexed()\n", ".indexed().promote(when: .manualApproval)",
        ]
        for gate in gates {
            #expect(self.digest(Self.view + gate) == digest, "\(gate)")
            #expect(self.digest(Self.view + gate + "\nlet a = 1") != digest)
            #expect(
                self.digest(Self.view + gate + "\nlet a = 1")
                    == self.digest(Self.view + "\nlet a = 1"))
        }
        #expect(self.digest(Self.view + ".promote(now: true)") != digest)
        #expect(text("a.promote(when: b)") == "a.promote(when: b)")
        #expect(text("a.indexed()") == "a.indexed()")
    }

    @Test("a view file changes only its own digest, in whatever order files are given")
    func others() {
        func files(_ second: String) -> [(name: String, digest: String)] {
            TargetDigests([
                (name: "B.swift", bytes: Array("let b = View(\"b\") { \(second) }".utf8)),
                (name: "Helper.swift", bytes: []),
                (name: "A.swift", bytes: Array("let a = View(\"a\") {}".utf8)),
            ]).files
        }
        let before = files("f()")
        let after = files("g()")
        #expect(before.map(\.name) == ["A.swift", "B.swift"])
        #expect(before[0].digest == after[0].digest)
        #expect(before[1].digest != after[1].digest)
    }

    @Test("the generated file is Swift, also for a target without views")
    func generated() {
        #expect(
            TargetDigests([]).swiftFile
                == "import KappaCore\n\nlet viewDigests = ViewDigests([:\n])\n")
        let file = TargetDigests([(name: "A.swift", bytes: Array("View(".utf8))]).swiftFile
        #expect(file.contains("let viewDigests = ViewDigests([\n    \"A.swift\": \""))
    }

    @Test("SHA-256 gives the digests of the standard")
    func sha256() {
        #expect(
            SHA256.hex(Array("abc".utf8))
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            SHA256.hex([])
                == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(
            SHA256.hex([UInt8](repeating: 0x61, count: 119))
                == "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb")
    }

    @Test("every sample view has the digest of its file")
    func samples() throws {
        for view in sampleViews.views {
            #expect(sampleViews.digests?[file: view.file] != nil, "\(view.file)")
        }
    }
}
