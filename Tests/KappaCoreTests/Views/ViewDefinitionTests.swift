import KappaTesting
import Testing
import Views

@testable import KappaCore

@Suite("Definitions of views") struct ViewDefinitionTests {
    struct Entry: Event {
        var user: String
        var place: String
        var at: Timestamp
    }
    struct Row: Codable, Equatable, Sendable { var n = 0 }

    private func refusal(_ views: any AnyView...) throws -> KappaError {
        let error = try #require(throws: KappaError.self) {
            try ViewSet(views).definitions(allowUndigested: true)
        }
        #expect(error.code == .usage)
        #expect(error.place?.isEmpty == false)
        #expect(error.reason?.isEmpty == false)
        #expect(error.advice?.isEmpty == false)
        return error
    }

    private func counts(_ name: String) -> View<Columns> {
        View(name) { Events(Entry.self).grouped(by: \.user).aggregate(.count().as("n")) }
    }

    @Test("two views of one name are refused")
    func duplicates() throws {
        #expect(try refusal(counts("a"), counts("a")).what == "two views are named a")
    }

    @Test(
        "names are lower-case words",
        arguments: [
            "", "A", "1a", "_a", "a-b", "a b", "a.b", "a/b", "..", "a\"b", "a\nb", "é", "a\0",
            String(repeating: "a", count: 64),
        ])
    func badNames(name: String) throws {
        #expect(try refusal(counts(name)).what == "\"\(name)\" cannot name a view")
        let table = View("v") {
            Events(Entry.self).grouped(by: \.user).aggregate(.count().as("n")).into(name)
        }
        #expect(try refusal(table).what == "\"\(name)\" cannot name a table")
        let column = View("v") {
            Events(Entry.self).grouped(by: \.user).aggregate(.count().as(name))
        }
        #expect(try refusal(column).what == "\"\(name)\" cannot name a column")
        let key = View("v") {
            Events(Entry.self).grouped(as: name) { $0.user }.aggregate(.count().as("n"))
        }
        #expect(try refusal(key).what == "\"\(name)\" cannot name a column")
    }

    @Test("63 letters, digits and underscores are a good name")
    func goodNames() throws {
        for name in ["a", "a1_b2", String(repeating: "a", count: 63)] {
            #expect(try ViewSet([counts(name)]).definitions().map(\.name) == [name])
        }
    }

    @Test("two tables of one name are refused")
    func tables() throws {
        let view = View("v") {
            Events(Entry.self).grouped(by: \.user).aggregate(.count().as("n"))
            Events(Entry.self).grouped(by: \.place).aggregate(.count().as("n"))
        }
        #expect(try refusal(view).what == "view v has two tables named v")
    }

    @Test("two columns of one name are refused, even if one is a key or a window's")
    func columns() throws {
        let twice = View("v") {
            Events(Entry.self).grouped(by: \.user).aggregate(.count().as("n"), .count().as("n"))
        }
        #expect(try refusal(twice).what == "table v has two columns named n")
        let key = View("v") {
            Events(Entry.self).grouped(by: \.user).aggregate(.count().as("user"))
        }
        #expect(try refusal(key).what == "table v has two columns named user")
        let window = View("v") {
            Events(Entry.self, at: \.at)
                .window(.tumbling(.seconds(1)))
                .aggregate(.count().as("window_end"))
        }
        #expect(try refusal(window).what == "table v has two columns named window_end")
    }

    @Test("windows need an event time, and the advice says how to name it")
    func windowWithoutTime() throws {
        let view = View("v") {
            Events(Entry.self).window(.tumbling(.seconds(1))).aggregate(.count().as("n"))
        }
        let error = try refusal(view)
        #expect(error.what == "table v has windows, but its events have no time")
        #expect(error.advice?.contains(#"at: \.timestamp"#) == true)
    }

    @Test("the handlers of a table agree on its rows and its key")
    func handlers() throws {
        let table = Table("t", key: Timestamp.self, row: Row.self)
        let view = View("v", row: Row.self) {
            On(Entry.self, key: \.user) { _, row in row = Row() }
            On(Entry.self, key: \.at) { _, row in row = Row() }
            table.on(Entry.self, key: \.at) { _, row in row = Row() }
        }
        #expect(try refusal(view).what == "the handlers of table v do not agree")
    }

    @Test("a view without a digest is refused when versions are made from it")
    func digests() throws {
        let fold = View("v", row: Row.self) { On(Entry.self, key: \.user) { _, row in row = nil } }
        let error = try #require(throws: KappaError.self) { try ViewSet([fold]).definitions() }
        #expect(error.what == "there is no digest of view v")
        let named = View("v", row: Row.self, digest: "1") {
            On(Entry.self, key: \.user) { _, row in row = nil }
        }
        let other = View("v", row: Row.self, digest: "2") {
            On(Entry.self, key: \.user) { _, row in row = nil }
        }
        let first = try ViewSet([named]).definitions()[0].digest
        #expect(try ViewSet([named]).definitions()[0].digest == first)
        #expect(try ViewSet([other]).definitions()[0].digest != first)
        #expect(first.count == 16)
    }

    @Test(
        "columns are in the order of the view: windows and keys in their order, then aggregates"
    )
    func schemas() throws {
        let definitions = try sampleViews.definitions()
        func columns(_ name: String) -> [String]? {
            definitions.first { $0.name == name }?.tables[0].columns.map {
                "\($0.name):\($0.kind.rawValue)\($0.isKey ? "!" : "")"
            }
        }
        #expect(
            columns("action_counts") == [
                "window_start:timestamp!", "window_end:timestamp", "action:text!",
                "events:integer", "revenue:decimal",
            ])
        #expect(
            columns("user_sessions") == [
                "user_id:text!", "window_start:timestamp!", "window_end:timestamp",
                "events:integer", "revenue:decimal",
            ])
        #expect(
            columns("author_streaks") == [
                "author:text!", "commits:integer", "files_changed:integer",
                "longest_streak_days:integer", "current_streak_days:integer",
            ])
        #expect(Set(definitions.map(\.digest)).count == definitions.count)
    }
}
