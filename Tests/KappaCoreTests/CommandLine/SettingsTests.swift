import Glibc
import Testing

@testable import KappaCLI
@testable import KappaCore

/// Values of options from variables and from `kappa.conf`.
@Suite("Settings") struct SettingsTests {
    private let kappa: KappaProgram

    init() throws { kappa = try KappaProgram() }

    private func write(_ text: String) throws {
        try Folder.make(kappa.data.path)
        try CommandSweep.write(text, to: kappa.data.path + "/kappa.conf")
    }

    /// What `kappa config` says: the value and the place of each setting.
    private func config(
        _ words: [String] = [], _ environment: [String: String] = [:]
    ) throws -> [String: [String]] {
        let finished = try kappa.start(
            ["config", "--format", "json"] + words, environment: environment
        ).wait()
        #expect(finished.code == 0, "\(finished)")
        var found: [String: [String]] = [:]
        for record in finished.records {
            let name = record["setting"] as? String ?? ""
            found[name] = [record["value"] as? String ?? "null", record["from"] as? String ?? ""]
        }
        return found
    }

    @Test("an option comes before a variable, a variable before the file, the file before nothing")
    func order() throws {
        var found = try config()
        #expect(
            found == [
                "data": [kappa.data.path, "KAPPA_DATA"], "format": ["json", "--format"],
                "memory": ["1G", "default"], "keep-snapshots": ["null", "default"],
                "keep": ["1", "default"], "retain": ["null", "default"],
                "retain-size": ["null", "default"], "commit-interval": ["50ms", "default"],
                "keep-versions": ["1", "default"], "feed-age": ["7d", "default"],
                "feed-size": ["16M", "default"],
            ])
        try write("memory = 64M\nkeep=3\n\nkeep-snapshots = every=10,keep=2\nformat=csv\n")
        let path = kappa.data.path + "/kappa.conf"
        found = try config()
        #expect(found["memory"] == ["64M", "\(path), line 1"])
        #expect(found["keep"] == ["3", "\(path), line 2"])
        #expect(found["keep-snapshots"] == ["every=10,keep=2", "\(path), line 4"])
        #expect(found["format"] == ["json", "--format"])
        found = try config([], ["KAPPA_MEMORY": "32M", "KAPPA_KEEP_SNAPSHOTS": "every=1h"])
        #expect(found["memory"] == ["32M", "KAPPA_MEMORY"])
        #expect(found["keep-snapshots"] == ["every=1h", "KAPPA_KEEP_SNAPSHOTS"])
        let empty = try kappa.run("config", environment: ["KAPPA_MEMORY": ""])
        #expect(empty.code == 64 && empty.errors.contains("KAPPA_MEMORY= cannot"), "\(empty)")
    }

    @Test("white space, comments and a byte-order mark are no part of a value")
    func layout() throws {
        try write("\u{FEFF}# ours\n \t memory\t=  64M   # for rows\r\n#keep = 9\nkeep = 3 #\n   \n")
        let found = try config()
        #expect(found["memory"]?.first == "64M" && found["keep"]?.first == "3", "\(found)")
    }

    @Test(
        "a line that cannot be understood is refused, with its number",
        arguments: [
            ("memory 64M", "\"memory 64M\" is not a setting", 1),
            ("keep = 1\nmemmory = 64M", "did you mean memory?", 2),
            ("\n\nkeep =", "keep lacks its value", 3), ("= 3", "there is no setting \"\"", 1),
            ("data = /x", "data cannot be set here", 1),
            ("keep = 1\nkeep = 2", "keep is set twice", 2),
            ("until-caught-up = yes", "there is no setting", 1),
            ("memory = \u{1B}[31m\u{1B}", "memory =", 1),
            ("memory = 9999999999G", "memory = 9999999999G cannot be used", 1),
            ("keep = -1", "Write keep = 1, for example", 1),
            ("keep-snapshots = often", "Write keep-snapshots = every=1h,keep=24", 1),
            ("format = xml", "format = xml cannot be used", 1),
        ])
    func refused(text: String, says: String, line: Int) throws {
        try write(text)
        let finished = try kappa.start(["config"]).wait()
        #expect(finished.code == 64, "\(finished)")
        #expect(finished.errors.contains(says), "\(finished)")
        #expect(finished.errors.contains("kappa.conf, line \(line)"), "\(finished)")
        #expect(!finished.errors.contains("\u{1B}"), "\(finished)")
    }

    @Test("a value is checked where it is used, and named as it was written")
    func used() throws {
        try write("memory = lots\n")
        try kappa.generate(100)
        #expect(try kappa.run("log", "info").code == 0)
        let file = try kappa.run("run", "--until-caught-up")
        #expect(file.code == 64 && file.errors.contains("memory = lots cannot be used"), "\(file)")
        let variable = try kappa.run(
            "run", "--until-caught-up", environment: ["KAPPA_MEMORY": "more"])
        #expect(
            variable.code == 64 && variable.errors.contains("Write KAPPA_MEMORY=512M"),
            "\(variable)")
        let option = try kappa.run("run", "--until-caught-up", "--memory", "64M")
        #expect(option.code == 0, "\(option)")
    }

    @Test("what the file sets takes effect")
    func effect() throws {
        try write("format = json\nkeep-snapshots = every=50,keep=2\nkeep = 0\n")
        try kappa.generate(400)
        #expect(try kappa.run("run", "--until-caught-up").code == 0)
        let snapshots = try kappa.run("snapshots", "user_totals")
        #expect((1...2).contains(snapshots.records.count), "\(snapshots)")
        #expect(try kappa.run("snapshots", "--format", "csv").output.hasPrefix("view,version"))
        #expect(try kappa.run("rebuild", "user_totals").code == 0)
        let collected = try kappa.run("gc")
        #expect(collected.records.contains { $0["version"] as? Int == 1 }, "\(collected)")
    }

    @Test("a file that cannot be read, or is none, is refused")
    func unreadable() throws {
        let path = kappa.data.path + "/kappa.conf"
        try Folder.make(path)
        #expect(try kappa.run("config").code == 64)
        #expect(rmdir(path) == 0 && mkfifo(path, 0o600) == 0)
        let pipe = try kappa.run("config")
        #expect(pipe.code == 64 && pipe.errors.contains("it is not a file"), "\(pipe)")
        #expect(unlink(path) == 0)
        try write(String(repeating: "# much\n", count: 20_000))
        #expect(try kappa.run("config").code == 64)
    }

    @Test("--data and --format stand before or after the command's name")
    func before() throws {
        let other = kappa.folder.path + "/other"
        for words in [
            ["--data", other, "config", "--format", "json"],
            ["--format=json", "--data=\(other)", "config"],
            ["--data", "x", "config", "--data", other, "--format", "json"],
        ] {
            let finished = try kappa.start(words).wait()
            #expect(finished.records.first?["value"] as? String == other, "\(words): \(finished)")
        }
        #expect(try kappa.run("--data", other, "log", "info").code == 66)
        #expect(try kappa.run("--data").code == 64)
        #expect(try kappa.run("--data", other).code == 64)
        #expect(try kappa.run("--data", other, "--help").code == 0)
        #expect(try kappa.run("--memory", "1G", "run").code == 64)
    }
}
