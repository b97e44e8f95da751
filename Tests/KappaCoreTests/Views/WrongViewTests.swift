import Foundation
import Testing

@testable import KappaCore

/// Views that must not compile, with what the compiler says: it is what an author gets to read.
@Suite("Views that the compiler refuses") struct WrongViewTests {
    private static let types = """
        import KappaCore
        struct Sale: Event {
            var shop: String
            var amount: Int?
            var price: Double
            var coupon: String?
            var at: Timestamp
        }
        struct Total: ViewRow {
            var shop: String
            var sales: Int
            var revenue: Int
            var least: Int?
            var mean: Double?
        }

        """

    struct Snippet: Sendable, CustomStringConvertible {
        var code: String
        /// Parts of the errors; none where it must compile.
        var errors: [String] = []
        var description: String { code }
    }

    private static let shops = "Events(Sale.self).grouped(by: \\.shop)"

    private static func typed(_ aggregates: String, _ errors: String...) -> Snippet {
        Snippet(
            code: "let v = View(\"v\") { \(shops).aggregate(as: Total.self, \(aggregates)) }",
            errors: errors)
    }
    private static func plain(_ aggregates: String, _ errors: String...) -> Snippet {
        Snippet(code: "let v = View(\"v\") { \(shops).aggregate(\(aggregates)) }", errors: errors)
    }

    static let snippets = [
        typed(
            ".count().as(\\.sales), .sum(\\.amount).as(\\.revenue), .min(\\.amount).as(\\.least)"),
        // Zero, rather than nil, where there is nothing to sum.
        typed(
            ".sum(\\.amount).as(\\.least)", "'KeyPath<Total, Optional<Int>>'",
            "'KeyPath<Total, Int>'"),
        // With a condition there may be no smallest one.
        typed(
            ".min { $0.price }.where(\\.price > 3).as(\\.revenue)", "'KeyPath<Total, Int>'",
            "'KeyPath<Total, Optional<Double>>'"),
        typed(".average(\\.price).as(\\.sales)", "'KeyPath<Total, Int>'"),
        typed(".count().as(\\.nothing)", "cannot infer key path type"),
        typed(".sum(\\.shop).as(\\.sales)", "requires that 'String' conform to 'SummableValue'"),
        plain(".count().as(\"sales\"), .sum(\\.amount).as(\"revenue\")"),
        plain(".sum(\\.amount)", "'AggregateValue<Sale, Int, Int>'"),
        plain(".count().as(\"n\"), .count()", "'AggregateValue<Sale, Int, Int>'"),
        plain(".sum(\\.nothing).as(\"n\")", "has no member 'nothing'"),
        Snippet(
            code: "let v = View(\"v\") { \(shops) }", errors: ["conform to 'TableStep'"]),
        Snippet(
            code: "let v = View(\"v\", row: Missing.self) {}",
            errors: ["cannot find 'Missing' in scope"]),
        Snippet(
            code: "let v: View<Total> = View(\"v\") { \(shops).aggregate(.count().as(\"n\")) }",
            errors: ["'ViewSteps<Columns>'"]),
        plain(twelveColumns),
    ]

    private static let twelveColumns = """
        .count().as("a"), .sum(\\.amount).as("b"), .average(\\.amount).as("c"),
        .min(\\.price).as("d"), .min(\\.price).where(\\.price < 3).as("e"),
        .max { $0.price * 2 }.as("f"),
        .max(\\.coupon).where(\\.price >= 10 && \\.coupon != "x").as("g"),
        .sum { $0.price * 2 + 1 }.where { $0.coupon != nil }.as("h"),
        .sum(\\.price).where(\\.coupon != nil).as("i"), .average { $0.price + 1.5 }.as("j"),
        .count().where { $0.price > 3 && $0.price < 5 }.as("k"),
        .collect(\\.coupon, limit: 3).as("l")
        """

    /// The folder of the modules that these tests were built from.
    private static let build: URL? = {
        let own = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return own.map { URL(fileURLWithPath: $0).deletingLastPathComponent() }
    }()

    @Test("each is refused with an error that names what is wrong", arguments: snippets)
    func compile(_ snippet: Snippet) throws {
        let build = try #require(Self.build)
        let file = build.appending(path: "wrong-view-\(UUID().uuidString).swift")
        try (Self.types + snippet.code).write(to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        let sources = (0..<4).reduce(URL(filePath: #filePath)) { url, _ in
            url.deletingLastPathComponent()
        }.appending(path: "Sources")
        let maps = [
            build.appending(path: "CKappa.build/module.modulemap"),
            build.appending(path: "CKappaJSON.build/module.modulemap"),
            sources.appending(path: "CSQLite/module.modulemap"),
            sources.appending(path: "CZstd/module.modulemap"),
        ]
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments =
            [
                "swiftc", "-typecheck", "-swift-version", "6", "-diagnostic-style", "llvm",
                "-I", build.appending(path: "Modules").path,
                // A view of twelve columns must not take the compiler a second.
                "-warnings-as-errors", "-Xfrontend", "-warn-long-expression-type-checking=1000",
            ] + maps.flatMap { ["-Xcc", "-fmodule-map-file=\($0.path)"] } + [file.path]
        let output = Pipe()
        process.standardError = output
        process.standardOutput = output
        try process.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        let text = String(decoding: data, as: UTF8.self)
        let errors = text.split(separator: "\n").filter { $0.contains(": error: ") }
        #expect(errors.isEmpty == snippet.errors.isEmpty, "\(text)")
        for part in snippet.errors {
            #expect(errors.contains { $0.contains(part) }, "\(part) in \(text)")
        }
    }
}
