import Glibc
import Testing

@testable import KappaCore

@Suite("Appending by the program") struct AppendCommandTests {
    private let kappa: KappaProgram

    init() throws { kappa = try KappaProgram() }

    @Test("a standard input that is closed is an error, not an empty import")
    func closedInput() throws {
        for line in ["kappa append <&-", "kappa append --source shop - <&-"] {
            let finished = try kappa.shell(line)
            #expect(finished.code == 64 && finished.errors.contains("it is closed"), "\(finished)")
        }
        #expect(try kappa.shell("kappa append < /dev/null").code == 0)
    }

    @Test("more files than the process may open are one source, and a wrong name appends nothing")
    func manyFiles() throws {
        let finished = try kappa.shell(
            """
            mkdir many
            for n in $(seq 100 299); do echo "{\\"n\\":$n}" > many/$n; done
            ulimit -n 64
            kappa append --source shop many/* missing; echo $?
            kappa append --source shop many/* && kappa append --source shop many/*
            """)
        #expect(
            finished.lines == [
                "66", "appended 200 events from offset 0; the log ends at offset 200",
                "appended 0 events; skipped 200 that the log had already; the log ends at offset 200",
            ], "\(finished)")
    }

    @Test("two imports of one source at once: what the slower one brings is compared, not dropped")
    func atOnce() throws {
        try kappa.generate(1)
        let slow = try kappa.start(["append", "--source", "shop"], input: "|")
        try waitFor("it has begun") {
            slow.errors != "" || Folder.names(in: "/proc/\(slow.pid)/fd").count > 5
        }
        Pause.briefly()
        let lines = (0..<1_000).map { #"{"n":\#($0)}"# + "\n" }
        #expect(try kappa.run("append", "--source", "shop", input: lines.joined()).code == 0)
        slow.write((0..<10).map { #"{"other":\#($0)}"# + "\n" }.joined())
        slow.closeInput()
        let finished = try slow.wait()
        #expect(
            finished.code == 65 && finished.errors.contains("standard input, line 1"), "\(finished)"
        )
    }

    @Test("an option that takes one value is refused if it is given twice")
    func twice() throws {
        let finished = try kappa.run("append", "--source", "a", "--source", "b", input: "{}")
        #expect(finished.code == 64 && finished.errors.contains("--source is given twice"))
        #expect(try kappa.run("log", "info").code == 66)
    }
}
