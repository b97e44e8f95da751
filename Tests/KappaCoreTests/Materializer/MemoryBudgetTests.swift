import KappaTesting
import Testing

@testable import KappaCore

/// State that grows with the data counts against the memory budget, or goes to disk.
@Suite("Memory budgets") struct MemoryBudgetTests {
    struct Note: Event {
        var key: String
        var text: String
    }
    struct Notes: ViewRow {
        var last = ""
        var all: [String] = []
    }

    private static let notes = View("notes", initially: Notes(), digest: "1") {
        On(Note.self, key: \.key) { event, row in
            row.last = event.text
            row.all.append(event.text)
            if row.all.count > 20 { row.all.removeFirst() }
        }
    }

    private static let counts = View("counts", digest: "1") {
        Events(Note.self).grouped(by: \.key).aggregate(.count().as("n"))
    }

    /// Records the memory that a version reports after each batch.
    private final class Watch: Scan.Observer {
        var most = 0
        let version: VersionMaterializer
        init(_ version: VersionMaterializer) { self.version = version }

        func commit(_ version: VersionMaterializer, _ perform: () throws -> Void) throws -> Bool {
            try perform()
            return true
        }
        func didApply(to offset: Offset) { most = max(most, version.memoryBytes) }
        func didFail(_ version: VersionMaterializer, _ error: any Error) {
            Issue.record("\(error)")
        }
        func didCatchUp(at offset: Offset) {}
    }

    /// Replays lines in blocks of 500.
    private func version(
        _ view: some AnyView, _ folder: TemporaryFolder, _ lines: [String], budgetBytes: Int
    ) throws -> (materializer: VersionMaterializer, most: Int) {
        let writer = try LogWriter(folder.path + "/log")
        for start in stride(from: 0, to: lines.count, by: 500) {
            var batch = EventLines()
            for line in lines[start..<min(start + 500, lines.count)] {
                batch.append(try EventLines(event: line))
            }
            _ = try writer.append(batch)
        }
        let definition = try ViewSet([view]).definitions(allowUndigested: true)[0]
        let plan = ExtractionPlan()
        let store = try VersionStore(
            at: folder.path + "/1.db", view: definition.name, number: 1,
            digest: definition.digest, tables: definition.tables)
        let version = try VersionMaterializer(
            definition, store: store, plan: plan, budgetBytes: budgetBytes)
        let watch = Watch(version)
        let end = Offset(UInt64(lines.count))
        var options = Scan.Options(end: end)
        options.batchEvents = 500
        try Scan(folder.path + "/log", [version], plan: plan, options: options, observer: watch)
            .run()
        return (version, watch.most)
    }

    @Test(
        "dead letters count, and are complete after a rebuild that had to spill them",
        arguments: [true, false])
    func deadLetters(ofFold: Bool) throws {
        let folder = try TemporaryFolder()
        let lines = (0..<4_000).map { index in
            #"{"event_type":"note","key":\#(index),"text":"\#(String(repeating: "x", count: 400))"}"#
        }
        let (version, most) =
            ofFold
            ? try version(Self.notes, folder, lines, budgetBytes: 1 << 20)
            : try version(Self.counts, folder, lines, budgetBytes: 1 << 20)
        #expect(version.checkpoint.counters.dead == 4_000)
        #expect(most < 3 << 20)
        var letters = 0
        try VersionReader(folder.path + "/1.db").deadLetters { letter in
            #expect(letter.offset == Offset(UInt64(letters)))
            letters += 1
        }
        #expect(letters == 4_000)
    }

    struct Kept: Event, ViewRow {
        var key: String
        var text: String
        var list: [String]?
        static let eventType: String? = "note"
    }

    /// The last three of each key; a text "-" drops all.
    private static let kept = View("kept", digest: "1") {
        Events(Kept.self).grouped(by: \.key).keep { kept, new in
            if new.text == "-" {
                kept = []
                return
            }
            kept.append(new)
            if kept.count > 3 { kept.removeFirst() }
        }
    }

    @Test("texts and lists of kept elements count, also after a restart")
    func kept() throws {
        let folder = try TemporaryFolder()
        let text = String(repeating: "z", count: 500)
        var lines = (0..<6_000).map { index in
            #"{"event_type":"note","key":"k\#(index * 7_919 % 1_000)","text":"\#(text)\#(index)"}"#
        }
        // 3,000 elements stay, with about a megabyte and a half of texts.
        let (version, _) = try version(Self.kept, folder, lines, budgetBytes: 1 << 30)
        #expect(version.memoryBytes > 3_000 * 500, "texts are not counted")
        #expect(version.memoryBytes < 3 << 20)
        func reopened() throws -> VersionMaterializer {
            let definition = try ViewSet([Self.kept]).definitions()[0]
            return try VersionMaterializer(
                definition, store: try VersionStore(opening: folder.path + "/1.db"),
                plan: ExtractionPlan(), budgetBytes: 1 << 30)
        }
        let again = try reopened()
        #expect(again.memoryBytes > 3_000 * 500)
        #expect(abs(again.memoryBytes - version.memoryBytes) < 1 << 18)

        // Dropped elements no longer count; lists count by their JSON.
        let other = try TemporaryFolder()
        lines += (0..<1_000).map { #"{"event_type":"note","key":"k\#($0)","text":"-"}"# }
        let (empty, _) = try self.version(Self.kept, other, lines, budgetBytes: 1 << 30)
        #expect(empty.memoryBytes < version.memoryBytes - 3_000 * 500)
        let third = try TemporaryFolder()
        let listed = (0..<1_000).map { index in
            #"{"event_type":"note","key":"k\#(index)","text":"","list":["\#(text)","\#(text)"]}"#
        }
        let (lists, _) = try self.version(Self.kept, third, listed, budgetBytes: 1 << 30)
        #expect(lists.memoryBytes > 1_000 * 1_000)
    }

    @Test("texts and lists of a fold's rows count, and are dropped with them")
    func folds() throws {
        let folder = try TemporaryFolder()
        let text = String(repeating: "y", count: 300)
        let lines = (0..<6_000).map { index in
            #"{"event_type":"note","key":"k\#(index * 7_919 % 3_000)","text":"\#(text)\#(index)"}"#
        }
        // All rows together hold about three megabytes of texts.
        let (small, most) = try version(Self.notes, folder, lines, budgetBytes: 1 << 20)
        #expect(most < 4 << 20)
        #expect(small.checkpoint.counters.applied == 6_000)
        let other = try TemporaryFolder()
        let (large, _) = try version(Self.notes, other, lines, budgetBytes: 1 << 30)
        #expect(large.memoryBytes > 3 << 20, "texts are not counted")
        #expect(large.checkpoint == small.checkpoint)
        func columns(_ folder: TemporaryFolder) throws -> [Columns] {
            let rows = ViewRows { try RowDecoder(columnsOf: $0, table: nil) }
            return try RowPage(RowQuery(), on: VersionReader(folder.path + "/1.db"), rows).rows
        }
        let rows = try columns(folder)
        #expect(try rows == columns(other))
        #expect(rows.count == 3_000)
    }
}
