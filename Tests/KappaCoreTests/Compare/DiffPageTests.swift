import Foundation
import KappaTesting
import Testing

@testable import KappaCLI
@testable import KappaCore

@Suite("The HTML page of a comparison")
struct DiffPageTests {
    private let folder: VersionsFolder
    init() throws { folder = try VersionsFolder() }

    private static let hostile = [
        "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onclick='x",
        "</td></table></body>", "&lt;", "a\u{0}b\u{1B}[2J", "\u{202E}evil", "]]>", "<!--",
    ]

    /// A page about versions of which `differing` rows differ.
    private func page(
        _ differing: Int, same: Int = 3, text: (Int) -> String = { "t\($0)" }
    ) throws -> String {
        let schema = TableSchema(
            name: "t",
            columns: [
                ColumnSchema("k", .text, isKey: true), ColumnSchema("n", .integer),
                ColumnSchema("s", .text),
            ])
        for number in 1...2 {
            let rows = (0..<(differing + same)).map { index -> [Value] in
                let isOther = index < differing && number == 2
                return [
                    .text(text(index)), .integer(Int64(isOther ? index + 1 : 0)),
                    .text(text(isOther ? index + 1 : index)),
                ]
            }
            _ = try folder.make(number, [(schema, rows)])
        }
        let alignment = try Alignment(
            VersionID("t", VersionNumber(1)), VersionID("t", VersionNumber(2)),
            in: folder.data, .empty)
        var sample = DiffSample()
        let summary = try Diff(alignment.old, alignment.new).run { sample.add($0) }
        return DiffPage(alignment, summary, sample, notes: ["where k <> '<b>'"]).html
    }

    /// Whether every tag is closed in order, and every attribute is in double quotes.
    private func isBalanced(_ html: String) -> Bool {
        var open: [Substring] = []
        let body = html.replacing(#/<(script|style)>[\s\S]*?<\/\1>/#, with: "")
        for match in body.matches(of: #/<(\/?)([a-zA-Z][a-zA-Z0-9]*)((?:\s[^<>]*)?)>/#) {
            let name = match.2
            if ["meta", "input"].contains(name) { continue }
            if match.1.isEmpty {
                open.append(name)
            } else if open.popLast() != name {
                return false
            }
            if match.3.wholeMatch(of: #/(\s+[a-z-]+="[^"]*")*\s*/#) == nil { return false }
        }
        return open.isEmpty
    }

    @Test("the check of tags finds unclosed ones")
    func check() {
        #expect(isBalanced("<p class=\"a\"><b>x</b></p>"))
        #expect(!isBalanced("<p><b>x</p></b>"))
        #expect(!isBalanced("<p>"))
        #expect(!isBalanced("<p onclick='x'></p>"))
    }

    @Test(
        "pages without a difference, with one, and with more than are shown",
        arguments: [0, 1, 3, 1_200])
    func sizes(_ differing: Int) throws {
        let html = try page(differing)
        #expect(isBalanced(html))
        #expect(html.hasPrefix("<!doctype html>"))
        let rows = html.matches(of: #/<tr class="changed">/#).count
        #expect(rows == min(differing, DiffSample.most))
        #expect(html.contains("No row differs.") == (differing == 0))
        #expect(html.contains("The one row that differs.") == (differing == 1))
        #expect(html.contains("All 3 of them.") == (differing == 3))
        #expect(html.contains("<b>700 more are left out</b>") == (differing == 1_200))
        #expect(html.contains("<b>\(ProgressLine.grouped(differing))</b> changed"))
        #expect(html.contains("<b>3</b> same"))
        #expect(html.contains("Columns that differ") == (differing > 0))
        if differing == 1 {
            #expect(html.contains("<del>0</del> <ins>1</ins>"))
            #expect(html.contains("style=\"width:100.00%\""))
        }
    }

    @Test("the page loads nothing and names what was compared, with digests")
    func contained() throws {
        let html = try page(2)
        for word in ["http://", "https://", "src=", "href=", "@import", "url("] {
            #expect(!html.contains(word), "\(word)")
        }
        #expect(html.contains("default-src 'none'"))
        #expect(html.contains("<h1>t@1 → t@2</h1>"))
        #expect(html.contains("offset <b>5</b>"))
        #expect(html.contains("digest <code>1</code>: as it stands"))
        #expect(html.contains("where k &lt;&gt; &#39;&lt;b&gt;&#39;"))
        #expect(html.contains("prefers-color-scheme: dark"))
    }

    @Test("hostile texts appear only as text")
    func hostileTexts() throws {
        let texts = Self.hostile.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        let html = try page(texts.count - 1, same: 1) { texts[$0] }
        #expect(isBalanced(html))
        #expect(html.matches(of: #/<script>/#).count == 1)
        #expect(!html.contains("<img"))
        #expect(!html.contains("<!--"))
        #expect(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"))
        #expect(html.contains("&amp;lt;"))
        let forbidden = html.unicodeScalars.filter {
            ($0.value < 0x20 && $0 != "\n") || $0.value == 0x202E
        }
        #expect(forbidden.isEmpty)
    }

    @Test("long cells are cut")
    func long() throws {
        let html = try page(1, same: 0) { _ in String(repeating: "ä", count: 10_000) }
        #expect(isBalanced(html))
        #expect(html.utf8.count < 20_000)
        #expect(html.contains("ä…"))
    }
}
