import Glibc
import KappaTesting
import Testing
import Views

@testable import KappaCore

/// `fixtures/git-history.sh` over a small repository made here.
@Suite("Git histories as events", .enabled(if: EventsShared.hasGit, "git is not installed"))
struct GitHistoryTests {
    private static let script: String = {
        let package = #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
        return "/\(package)/fixtures/git-history.sh"
    }()

    /// Lines of a history with odd names and addresses, a binary file, a merge, and times in other zones.
    private static func lines() throws -> [String] {
        let folder = try TemporaryFolder()
        let script = #"""
            set -eu
            export HOME="$PWD" GIT_CONFIG_NOSYSTEM=1 LC_ALL=C.UTF-8
            git init -q -b main .
            commit() {
                git add -A
                GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL="$1" GIT_AUTHOR_DATE="$2" \
                GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=c@x GIT_COMMITTER_DATE="$3" \
                git commit -q --allow-empty -m "$4"
            }
            printf 'one\ntwo\n' > plain.txt
            printf 'q\n' > 'a "quoted" \name.txt'
            printf 'u\n' > 'ünïcode 😀.txt'
            printf 't\n' > "$(printf 'tab\tand\nline')"
            printf 'l\n' > "$(printf 'caf\351.txt')"
            printf '\000\001\002' > image.bin
            commit ada@example.com '2024-01-15T14:30:00+02:00' '2024-01-15T23:30:00-08:00' 'first
            with a body'
            printf 'one\n' > plain.txt
            git mv 'ünïcode 😀.txt' renamed.txt
            commit 'bob "b" <x' '2024-01-16T00:00:00Z' '2024-01-16T10:00:00Z' second
            commit ada@example.com '2024-01-17T00:00:00Z' '2024-01-17T00:00:00Z' empty
            git checkout -q -b side
            printf 's\n' > side.txt
            commit ada@example.com '2024-01-18T00:00:00Z' '2024-01-18T00:00:00Z' side
            git checkout -q main
            printf 'm\n' > main.txt
            commit ada@example.com '2024-01-19T00:00:00Z' '2024-01-19T00:00:00Z' main
            GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=ada@example.com GIT_AUTHOR_DATE='2024-01-20T00:00:00Z' \
            GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=c@x GIT_COMMITTER_DATE='2024-01-20T00:00:00Z' \
            git merge -q --no-ff -m merge side
            """#
        let make = folder.path + "/make.sh"
        let file = try #require(fopen(make, "w"))
        fputs(script, file)
        fclose(file)
        _ = try EventsShared.run(
            "mkdir '\(folder.path)/r' && cd '\(folder.path)/r' && sh ../make.sh")
        let text = try EventsShared.run("sh '\(Self.script)' '\(folder.path)/r'")
        return text.split(separator: "\n").map(String.init)
    }

    private static func history() throws -> [JSONValue] {
        try lines().map { line in
            _ = try EventLines(event: line)
            return try JSONValue(parsing: line)
        }
    }

    private func fields(_ event: JSONValue) -> [String] {
        guard case .object(let members) = event else { return [] }
        return members.map(\.key)
    }

    @Test("commits and files come oldest first, with paths, counts and times in UTC")
    func events() throws {
        let events = try Self.history()
        let commits = events.filter { $0["event_type"] == .string("commit") }
        #expect(commits.map { $0["files"] } == ["6", "3", "0", "1", "1", "0"].map { .number($0) })
        #expect(commits[0]["authored_at"] == .string("2024-01-15T12:30:00Z"))
        #expect(commits[0]["committed_at"] == .string("2024-01-16T07:30:00Z"))
        #expect(commits[0]["author"] == commits[2]["author"])
        #expect(commits[0]["author"] != commits[1]["author"])
        let files = events.filter { $0["event_type"] == .string("file_changed") }
        func changes(_ path: String) -> [[JSONValue?]] {
            files.filter { $0["path"] == .string(path) }.map { [$0["added"], $0["deleted"]] }
        }
        #expect(
            changes("plain.txt") == [[.number("2"), .number("0")], [.number("0"), .number("1")]])
        #expect(changes("image.bin") == [[.null, .null]])
        #expect(changes(#"a "quoted" \name.txt"#) == [[.number("1"), .number("0")]])
        #expect(changes("tab\tand\nline") == [[.number("1"), .number("0")]])
        #expect(
            changes("ünïcode 😀.txt") == [
                [.number("1"), .number("0")], [.number("0"), .number("1")],
            ])
        // A name that is not UTF-8, as Latin-1.
        #expect(changes("caf\u{E9}.txt") == [[.number("1"), .number("0")]])
        #expect(changes("renamed.txt") == [[.number("1"), .number("0")]])
        // A commit comes before its files, and they name it.
        var commit: JSONValue?
        for event in events {
            if event["event_type"] == .string("commit") { commit = event }
            #expect(event["commit"] == commit?["commit"])
            #expect(event["author"] == commit?["author"])
            #expect(event["committed_at"] == commit?["committed_at"])
        }
    }

    @Test("the sample views take every event")
    func views() throws {
        let lines = try Self.lines()
        let churn = try EventsWay.whole(lines.count).run(fileChurn, lines)
        #expect(churn.counters.dead == 0 && churn.counters.applied == 11)
        let weeks = try EventsWay.whole(lines.count).run(authorWeeks, lines)
        #expect(weeks.counters.dead == 0 && weeks.counters.applied == 6)
        let streaks = try EventsWay.whole(lines.count).run(authorStreaks, lines)
        #expect(streaks.counters.dead == 0 && streaks.counters.applied == 17)
    }

    @Test(
        "the fields are those of the reference history, in the same order and form",
        .enabled(if: EventsShared.isThere, EventsShared.reason))
    func shape() throws {
        let made = try Self.history()
        let given = try EventsShared.events("redis-history.ndjson.gz").prefix(2_000).map {
            try JSONValue(parsing: $0)
        }
        for type in ["commit", "file_changed"] {
            let mine = made.filter { $0["event_type"] == .string(type) }
            let theirs = given.filter { $0["event_type"] == .string(type) }
            #expect(Set(mine.map(fields)) == Set(theirs.map(fields)))
            #expect(Set(mine.map(fields)).count == 1)
            for name in fields(mine[0]) {
                let forms = Set(theirs.compactMap { $0[name].map(Self.form) })
                for event in mine {
                    let form = Self.form(event[name] ?? .null)
                    // Paths may be anything; and no binary file is among the first.
                    #expect(name == "path" || form == "null" || forms.contains(form), "\(name)")
                }
            }
        }
    }

    /// A value with all digits and letters replaced by the same ones.
    private static func form(_ value: JSONValue) -> String {
        switch value {
        case .number: return "number"
        case .null: return "null"
        case .string(let text):
            guard text.hasPrefix("author-") || text.first?.isHexDigit == true else { return text }
            let head = text.hasPrefix("author-") ? "author-" : ""
            return head
                + text.dropFirst(head.count).map { $0.isHexDigit ? "0" : String($0) }.joined()
        default: return "other"
        }
    }
}
