import KappaCLI
import KappaCore
import KappaTesting
import Testing

// Code of docs/sources.md, between markers; DocsTests checks that the texts are equal.

// docs: connector
struct WordConnector: SourceConnector {
    let scheme = "words"
    let usage = "words:WORD,WORD,…"

    func source(_ url: String, named name: String?) throws(KappaError) -> any EventSource {
        let words = url.dropFirst("words:".count).split(separator: ",")
        return LineSource(words.map { #"{"word":"\#($0)"}"# }, name: name ?? "words")
    }
}
// docs: end

func wordProgram() -> Never {
    // docs: connector-main
    Kappa.main(views: ViewSet([orders]), connectors: [WordConnector()])
    // docs: end
}

// docs: source
final class LineSource: EventSource {
    private let lines: [String]
    private let name: String
    private var next = 0

    init(_ lines: [String], name: String) {
        self.lines = lines
        self.name = name
    }

    var partitions: [String] { [name] }

    func open(_ histories: [SourceHistory], following: Bool) {
        next = Int(histories[0].position)
    }

    func next(waitingAtMost wait: Duration) -> SourceDelivery {
        guard next < lines.count else { return .end }
        defer { next += 1 }
        return .batch(
            SourceLines(
                partition: name, position: UInt64(next), next: UInt64(next + 1),
                lines: Array(lines[next].utf8), origin: "line \(next + 1)"))
    }

    func lag(of partition: String) -> UInt64? { UInt64(lines.count - next) }
    func close() {}
}
// docs: end

@Suite("The guide to sources") struct SourceGuideTests {
    // docs: conformance
    @Test func conforms() throws {
        var lines: [String] = []
        try EventSourceConformance(canFollow: false) {
            LineSource(lines, name: "lines")
        } append: {
            lines += $0
        }.check()
    }
    // docs: end

    @Test("the connector makes sources of its URLs")
    func connector() throws {
        let source = try WordConnector().source("words:a,b", named: nil)
        #expect(try source.partitions == ["words"])
    }
}
