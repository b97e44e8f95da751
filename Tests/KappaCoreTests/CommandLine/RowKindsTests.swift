import KappaTesting
import Testing

@testable import KappaCore

/// The program of fixtures/rows, whose views have rows of every kind, in several processes.
@Suite("Rows do not depend on the hash seed")
struct RowKindsTests {
    private let kappa: KappaProgram
    private let program = KappaProgram.path.replacing(#/kappa$/#, with: "RowKinds")
    private static let views = [
        "kinds", "hiding", "tables", "aggregates", "windows", "rows", "joined", "outer", "ranking",
        "kept", "second",
    ]

    init() throws { kappa = try KappaProgram() }

    private func run(_ words: String..., in folder: String, input: String? = nil) throws {
        let finished = try kappa.start(
            words + ["--data", kappa.folder.path + "/" + folder], input: input, program: program
        ).wait(seconds: 120)
        #expect(finished.code == 0, "\(finished)")
    }

    private static func facts(_ random: inout SplitMix) -> [String] {
        let words = [
            "userID", "user_id", "en-US", "é", "10", "9", "", "a.b", "Ω", "zebra", "apple", "Kappa",
            #"\n"#, "0", "-1", "😀",
        ]
        return (0..<160).map { number in
            let some = (0..<random.below(6)).map { _ in
                #""\#(words[random.below(words.count)])""#
            }.joined(separator: ",")
            let minute = number % 60 < 10 ? "0\(number % 60)" : "\(number % 60)"
            return #"{"event_type":"fact","id":"k\#(random.below(7))","n":\#(random.below(60)),"#
                + #""words":[\#(some)],"at":"2024-01-01T0\#(number / 60):\#(minute):00Z"}"#
        }
    }

    /// The tables of a version's file, each row as text.
    private func dump(
        _ view: String, in folder: String, _ wanted: (String) -> Bool
    ) throws -> [String] {
        let data = DataFolder(kappa.folder.path + "/" + folder)
        let connection = try SQLiteConnection(
            data.file(VersionID(view, VersionNumber(1))), .readWrite)
        let names = try connection.prepare(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' "
                + "AND name <> '_kappa_feed'")
        var tables: [String] = []
        while try names.step() { tables.append(names.string(0)) }
        return try tables.filter(wanted).sorted().flatMap { table in
            // Changes are numbered from the time on at which the file was made.
            let columns = try connection.prepare(
                "SELECT name FROM pragma_table_info(?) WHERE name <> 'seq'")
            columns.bind(0, table)
            var cells: [String] = []
            while try columns.step() { cells.append("quote(\"\(columns.string(0))\")") }
            let select = try connection.prepare(
                "SELECT \(cells.joined(separator: " || ',' || ")) FROM \"\(table)\"")
            var rows: [String] = []
            while try select.step() { rows.append("\(table): \(select.string(0))") }
            return rows
        }
    }

    @Test("two processes make the same files from the same log, also in pieces")
    func twoProcesses() throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        let lines = Self.facts(&random)
        for folder in ["whole1", "whole2"] {
            try run("append", in: folder, input: lines.joined(separator: "\n"))
            try run("run", "--until-caught-up", in: folder)
        }
        // Few events per piece, so that each is one commit; the rows are read back in between.
        let cuts = [0, 140, 150, 151, 160]
        for folder in ["pieces1", "pieces2"] {
            for (from, to) in zip(cuts, cuts.dropFirst()) {
                try run("append", in: folder, input: lines[from..<to].joined(separator: "\n"))
                try run("run", "--until-caught-up", in: folder)
            }
        }
        var feeds = 0
        for view in Self.views {
            let whole = try dump(view, in: "whole1") { _ in true }
            #expect(whole.count > 10)
            #expect(try dump(view, in: "whole2") { _ in true } == whole, "\(view), seed \(seed)")
            let pieces = try dump(view, in: "pieces1") { _ in true }
            if pieces.contains(where: { $0.hasPrefix("_kappa_changes: ") }) { feeds += 1 }
            #expect(try dump(view, in: "pieces2") { _ in true } == pieces, "\(view), seed \(seed)")
            // State that is kept between commits reads back unchanged.
            let isRows = { (table: String) in !table.hasPrefix("_kappa") }
            #expect(
                try dump(view, in: "pieces1", isRows) == dump(view, in: "whole1", isRows),
                "\(view), seed \(seed)")
        }
        // The last events may leave a ranking unchanged by chance; they change most views.
        #expect(feeds > Self.views.count / 2, "seed \(seed)")
        for view in ["kinds", "hiding"] {
            try run("verify", view, in: "pieces1")
        }
    }
}
