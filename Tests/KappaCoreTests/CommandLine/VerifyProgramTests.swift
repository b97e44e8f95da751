import Testing

@testable import KappaCore

/// The program of fixtures/faulty, whose views depend on more than the events.
@Suite("kappa verify, with views that no author should write")
struct VerifyProgramTests {
    private let kappa: KappaProgram
    private let program = KappaProgram.path.replacing(#/kappa$/#, with: "FaultyViews")

    init() throws {
        kappa = try KappaProgram()
        let lines = (0..<300).map { Tick.line("k\($0 % 3)", $0) }.joined(separator: "\n")
        #expect(try kappa.run("append", input: lines).code == 0)
        #expect(try faulty("run", "--until-caught-up").code == 0)
    }

    @discardableResult
    private func faulty(
        _ words: String..., environment: [String: String] = [:]
    ) throws -> KappaProgram.Finished {
        try kappa.start(words, environment: environment, program: program).wait()
    }

    @Test(
        "clock, random numbers, order of a Set and time zone are caught at the first offset",
        arguments: ["clock", "lots", "order", "zone"])
    func caught(_ view: String) throws {
        let found = try faulty("verify", view, "--format", "json")
        #expect(found.code == 1, "\(found)")
        let record = try #require(found.records.first, "\(found)")
        #expect(record["ok"] as? Bool == false)
        #expect(record["fault"] as? String == "definition")
        #expect(record["offset"] as? Int == 137)
        #expect(record["table"] as? String == view)
        #expect(record["key"] as? [String] == ["k2"])
        #expect(record["column"] as? String == "drawn")
        #expect(record["replayed"] as? String != record["replayed_again"] as? String)
        #expect(try faulty("verify", view).output.contains("diverge at offset 137"))
        #expect(!Folder.names(in: kappa.data.path).contains { $0.hasPrefix("scratch") })
    }

    @Test("a fixed hash seed in the environment does not hide the order of a Set")
    func fixedSeed() throws {
        let fixed = ["SWIFT_DETERMINISTIC_HASHING": "1"]
        #expect(try faulty("verify", "order", environment: fixed).code == 1)
    }

    @Test("a sound version is reported as sound, and a changed cell is named")
    func sound() throws {
        let found = try faulty("verify", "sound@1", "--format", "json")
        #expect(found.code == 0, "\(found)")
        #expect(
            found.output == """
                {"ok":true,"view":"sound","version":1,"position":300,"rows":3,"fault":null,\
                "offset":null,"table":null,"key":null,"column":null,"stored":null,\
                "replayed":null,"replayed_again":null,"differences":0,"reason":null}

                """)
        #expect(
            try faulty("verify", "sound").output
                == "sound@1: sound. 3 rows at offset 300 are what two replays make of the log\n")
        let file = kappa.data.file(VersionID("sound", VersionNumber(1)))
        try SQLiteConnection(file, .readWrite).execute(
            "UPDATE sound SET seen = 7 WHERE k = 'k1'")
        let damaged = try faulty("verify", "sound", "--format", "json")
        #expect(damaged.code == 1, "\(damaged)")
        let record = try #require(damaged.records.first)
        #expect(record["fault"] as? String == "store")
        #expect(record["stored"] as? Int == 7)
        #expect(record["replayed"] as? Int == 100)
        let text = try faulty("verify", "sound").output
        #expect(text.contains("table sound, key k1, column seen: 7 instead of 100"), "\(text)")
    }

    @Test("another build's version, and a name that is not a version, are errors and not answers")
    func errors() throws {
        let other = try kappa.run("verify", "sound")
        #expect(other.code == 66)
        #expect(other.errors.contains("this build does not have the definition of sound@1"))
        #expect(try faulty("verify", "nothing").code == 66)
        #expect(try faulty("verify", "sound@9").code == 66)
        #expect(try faulty("verify").code == 64)
        #expect(try faulty("replay-aside", "sound@1").code == 64)
        #expect(try !faulty("help").output.contains("replay-aside"))
    }
}
