import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// The program's commands when successive builds give a view different keys and columns.
@Suite("Commands over versions of another shape") struct ShapeProgramTests {
    private static let shapes = ["text", "number", "both", "total", "columns", "rows"]

    /// A build of the program, in which the view has a shape.
    private func build(_ shape: String, of program: FaultyProgram) throws -> FaultyProgram {
        try program.with(views: "shape-\(shape)")
    }

    @Test("tail shows a promotion to any other shape as removals and inserts")
    func tail() throws {
        let program = try FaultyProgram("shape-text")
        try program.append(FaultyProgram.calm(9))
        #expect(try program.run("run", "--until-caught-up").code == 0)
        let tails = try ["json", "csv", "text"].map {
            ($0, try program.start("tail", "shape", "--format", $0))
        }
        defer { for (_, tail) in tails { tail.signal(SIGKILL) } }
        var rows: [String: Int] = [
            "text": 3, "number": 9, "both": 9, "total": 1, "columns": 3, "rows": 9,
        ]
        try waitFor("the first rows") { tails.allSatisfy { $0.1.output.contains("insert") } }
        var version = 1
        for shape in Self.shapes.dropFirst() + ["text"] {
            let next = try build(shape, of: program)
            // Otherwise it drops the retired versions, and the last promotion is of the first one.
            let run = try next.run(
                "run", "--until-caught-up", "--no-promote", "--keep-versions", "9")
            #expect(run.code == 0, "\(shape): \(run)")
            version += 1
            let promoted = try next.run(
                "promote", "shape@\(shape == "text" ? 1 : version)", "--force")
            #expect(promoted.code == 0, "\(shape): \(promoted)")
        }
        let json = tails[0].1
        try waitFor("the last promotion") {
            json.output.split(separator: "\n").filter { $0.contains("promoted") }.count
                == Self.shapes.count
        }
        try waitFor("the last rows") {
            json.output.split(separator: "\n").last?.contains("k2") == true
        }
        for (format, tail) in tails {
            tail.signal(SIGTERM)
            let ended = try tail.wait()
            #expect(ended.code == 0, "\(format): \(ended)")
        }
        // All changes together leave the last version's rows.
        var left: [String: Int] = [:]
        for record in KappaProgram.Finished(code: 0, output: json.output, errors: "").records {
            guard let op = record["op"] as? String, op != "promoted" else { continue }
            let key = "\(record["key"] ?? "")"
            left[key, default: 0] += op == "insert" ? 1 : op == "delete" ? -1 : 0
        }
        #expect(left.values.allSatisfy { $0 == 0 || $0 == 1 })
        #expect(left.values.reduce(0, +) == rows["text"], "\(json.output)")
        rows = [:]
    }

    @Test(
        "plan, diff, why and verify work from one shape to any other, with the other build's program"
    )
    func commands() throws {
        let program = try FaultyProgram("shape-text")
        try program.append(FaultyProgram.calm(9))
        #expect(try program.run("run", "--until-caught-up").code == 0)
        for shape in Self.shapes.dropFirst() {
            let next = try build(shape, of: program)
            let plan = try next.run("plan", "--format", "json")
            #expect(
                plan.code == 0 && plan.records.first?["diff"] is [String: any Sendable],
                "\(shape): \(plan)")
            #expect(try next.run("rebuild", "shape", "--no-promote").code == 0)
        }
        let keys = [
            "text": #""k1""#, "number": "4", "both": #"["k1",4]"#, "total": #""all""#,
            "columns": #""k1""#, "rows": "4",
        ]
        for (index, shape) in Self.shapes.enumerated() {
            let own = try build(shape, of: program)
            let number = index + 1
            let verified = try own.run("verify", "shape@\(number)")
            #expect(verified.code == 0, "\(shape): \(verified)")
            let key = keys[shape] ?? ""
            let alone = try own.run("why", "shape@\(number)", "--key", key, "--format", "json")
            #expect(alone.code == 0 && !alone.records.isEmpty, "\(shape): \(alone)")
            guard number > 1 else { continue }
            let other = try own.wrapper(of: "shape-text")
            for versions in ["1,\(number)", "\(number),1"] {
                for sideKey in [key, keys["text"] ?? ""] {
                    let both = try own.run(
                        "why", "shape", "--key", sideKey, "--versions", versions, "--with", other,
                        "--format", "json")
                    #expect(
                        both.code == 0 && !both.records.isEmpty,
                        "\(shape) \(versions) \(sideKey): \(both)")
                    let diverging = both.records.filter { $0["diverges"] as? Bool == true }
                    #expect(diverging.count == 1, "\(shape) \(versions) \(sideKey): \(both)")
                }
            }
            // A key of neither version.
            let neither = try own.run(
                "why", "shape", "--key", "[1,2,3]", "--versions", "1,\(number)", "--with", other)
            #expect(neither.code == 64, "\(shape): \(neither)")
            let text = try own.run("diff", "shape@1", "shape@\(number)")
            #expect(text.code == 1, "\(shape): \(text)")
            let keyed = try own.run("diff", "shape@1", "shape@\(number)", "--key", key)
            #expect([0, 1].contains(keyed.code), "\(shape): \(keyed)")
            // Another build does not have this one's definition, and says so.
            let foreign = try program.run("verify", "shape@\(number)")
            #expect(
                foreign.code == 66 && foreign.errors.contains("definition"), "\(shape): \(foreign)")
        }
    }
}
