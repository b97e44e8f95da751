import KappaCLI
import KappaSinks
import KappaTesting
import Synchronization
import Testing

@testable import KappaCore

// Code of docs/sinks.md, between markers; DocsTests checks that the texts are equal.

/// Where the guide's sink keeps what it has.
final class Blackboard {
    struct Contents {
        var rows: [String: [String: [Value]]] = [:]
        var position: SinkPosition?
    }

    var contents = Contents()
    static func named(_ name: String) -> Blackboard { Blackboard() }
}

// docs: sink
final class BoardSink: ChangeSink {
    private let board: Blackboard
    private var next: Blackboard.Contents?

    init(_ board: Blackboard) { self.board = board }

    func position() -> SinkPosition? { board.contents.position }

    func begin(anew tables: [TableSchema]?) {
        next = board.contents
        if let tables {
            next?.rows = Dictionary(uniqueKeysWithValues: tables.map { ($0.name, [:]) })
        }
    }

    func apply(_ changes: [SinkChange]) throws(KappaError) {
        for change in changes {
            guard next?.rows[change.table] != nil else {
                throw KappaError(.usage, "there is no table \(change.table)")
            }
            next?.rows[change.table]?["\(change.key)"] = change.row
        }
    }

    func commit(_ position: SinkPosition) {
        next?.position = position
        if let next { board.contents = next }
    }

    func rollBack() { next = nil }
    func close() { next = nil }
}
// docs: end

// docs: sink-connector
struct BoardConnector: SinkConnector {
    let scheme = "board"
    let usage = "board:NAME"

    func sink(_ url: String, of view: String) throws(KappaError) -> any ChangeSink {
        BoardSink(Blackboard.named("\(url)/\(view)"))
    }
}
// docs: end

func boardProgram() -> Never {
    // docs: sink-main
    Kappa.main(views: ViewSet([orders]), connectors: [BoardConnector(), SQLiteSinkConnector()])
    // docs: end
}

func publishOrders(_ kappa: Kappa) async throws {
    // docs: publish
    try await kappa.publish(
        orders,
        to: { () throws(KappaError) in
            try SQLiteSink("orders.db", view: "orders")
        }, untilCaughtUp: true)
    // docs: end
}

@Suite("The guide to sinks") struct SinkGuideTests {
    // docs: sink-conformance
    @Test func conforms() throws {
        let board = Blackboard()
        try ChangeSinkConformance {
            BoardSink(board)
        } rows: { _ in
            board.contents.rows.mapValues { rows in rows.values.map { $0.map(\.plainText) } }
        }.check()
    }
    // docs: end

    @Test("the library publishes a view to a file")
    func publishes() async throws {
        let folder = try VersionsFolder()
        try folder.append(ticks: 30)
        try folder.catchUp([latest("a")])
        let kappa = try await Kappa.open(folder.data.path, views: ViewSet([latest("a")]))
        let path = folder.data.path + "/out.db"
        try await kappa.publish(
            latest("a"),
            to: { () throws(KappaError) in try SQLiteSink(path, view: "latest") },
            untilCaughtUp: true)
        let count = try SQLiteConnection(path, .readOnly).integer("SELECT count(*) FROM latest")
        #expect(try count == Int64(folder.reader("latest", 1).rowCount(table: 0)))
        await kappa.close()
    }
}
