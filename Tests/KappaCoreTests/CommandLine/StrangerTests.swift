import Glibc
import Testing

@testable import KappaCLI
@testable import KappaCore

/// What a user sees who has not read the guides.
@Suite("A stranger on the command line")
struct StrangerTests {
    private let kappa: KappaProgram
    init() throws { kappa = try KappaProgram() }

    private func mistake(_ words: String...) throws -> String {
        let finished = try kappa.start(words).wait()
        #expect(finished.output == "", "\(words)")
        return "\(finished.code) \(finished.errors)"
    }

    @Test("an unknown name is not mistaken for a view that was not built yet")
    func unknownView() throws {
        try kappa.generate(1_000)
        let name = "user_totls"
        let commands = [
            "query", "status", "history", "snapshots", "promote", "rollback", "dead", "verify",
            "tail", "rebuild",
        ].map { [$0, name] }
        for words in commands + [["why", name, "--key", "a"], ["diff", name + "@1", name + "@2"]] {
            let finished = try kappa.start(words).wait()
            #expect(finished.code == 66, "\(words): \(finished)")
            #expect(finished.errors.contains("there is no view user_totls\n"), "\(words)")
            #expect(finished.errors.contains("did you mean user_totals?"), "\(words)")
        }
        #expect(try mistake("query", "").hasPrefix("64 kappa: \"\" names no view"))
        #expect(try mistake("query", "@1").hasPrefix("64 kappa: \"@1\" names no view"))
    }

    @Test("commands about whole views say so if one version is named")
    func wholeViews() throws {
        try kappa.generate(1_000)
        try kappa.run("rebuild", "user_totals")
        try kappa.run("rebuild", "user_totals")
        for command in ["rebuild", "rollback", "history", "tail"] {
            #expect(
                try mistake(command, "user_totals@1") == """
                    64 kappa: kappa \(command) does not take one version, as user_totals@1 is
                      why:   it is about all versions of a view
                      next:  Write user_totals

                    """)
        }
        let one = try kappa.run("status", "user_totals@1", "--format", "json")
        #expect(one.records.map { $0["version"] as? Int } == [1])
    }

    @Test("a wrong second word is named, with the nearest correct one")
    func secondWords() throws {
        #expect(
            try mistake("log", "raed") == """
                64 kappa: there is no command log raed
                  why:   did you mean log read?
                  next:  `kappa help` lists the commands

                """)
        #expect(
            try mistake("generate", "nothing-known").contains("there are generate user-events"))
        #expect(try mistake("log").contains("needs a second word"))
    }

    @Test("rebuild does not wait for events that may never come")
    func behindTheEnd() throws {
        try kappa.generate(1_000)
        for words in [
            ["rebuild", "user_totals", "--until", "1001"], ["log", "read", "--from", "1001"],
        ] {
            let finished = try kappa.start(words).wait(seconds: 20)
            #expect(finished.code == 66, "\(words)")
            #expect(finished.errors.contains("Name an offset up to 1000"), "\(words)")
        }
        #expect(try kappa.run("status").lines.count == 1, "nothing was begun")
        #expect(
            try mistake("rebuild", "user_totals", "--all").contains(
                "takes names of views or --all, not both"))
    }

    @Test("reading a folder with other contents says so, and leaves nothing there")
    func otherFolder() throws {
        for command in ["status", "log info", "views", "plan"] {
            let words = command.split(separator: " ").map(String.init) + ["--data"]
            let folder = try kappa.start(words + [kappa.folder.path]).wait()
            if command == "views" {
                #expect(folder.code == 0, "views looks at no data")
                continue
            }
            #expect(folder.code == 66 && folder.errors.contains("it holds no log"), "\(folder)")
            let file = try kappa.start(words + [KappaProgram.path]).wait()
            #expect(file.code == 66 && file.errors.contains("it is not a folder"), "\(file)")
        }
        #expect(access(kappa.folder.path + "/catalog.db", F_OK) != 0)
        try kappa.generate(10)
        #expect(try kappa.run("status").errors.hasPrefix("no versions yet"))
    }

    @Test("options that need each other say so")
    func together() throws {
        try kappa.generate(1_000)
        try kappa.run("rebuild", "user_totals")
        let why = try mistake("why", "user_totals", "--key", "a", "--with", "./before")
        #expect(why.hasPrefix("64 kappa: --with is for --versions"))
        let gate = try mistake("promote", "user_totals", "--gate", "sql=nosuch.sql")
        #expect(gate.hasPrefix("64 kappa: --gate sql=nosuch.sql cannot be used"))
    }

    @Test("a line of progress is never wider than the terminal, and its bar shrinks first")
    func progressWidth() {
        let figures = "1,406,679 events  677 k/s  lag 1,406,679  19 s to go"
        let wide = ProgressLine.line("replay", 0.5, figures, columns: 200)
        #expect(wide == "replay  [████████████░░░░░░░░░░░░] 50 %  \(figures)")
        #expect(ProgressLine.line("replay", 0.5, figures, columns: 0) == wide)
        for columns in 20...200 {
            let line = ProgressLine.line("replay", 0.5, figures, columns: columns)
            #expect(line.count <= columns - 3)
            #expect(columns < 80 || line.hasSuffix("] 50 %  \(figures)"))
        }
        #expect(
            ProgressLine.line("replay", 0.5, figures, columns: 70)
                == "replay  50 %  \(figures)")
        #expect(ProgressLine.line("append", nil, "5 events  5/s", columns: 14) == "append  5 e")
    }
}
