import Foundation
import Testing

@testable import KappaCore

/// Runs the commands of docs/changing-a-view.md one after another with the program of fixtures/embedded,
/// before and after the edit that the page shows; they must print what the page says.
///
/// With `KAPPA_RECORD=1` the page is rewritten with their output.
struct ReviewFlow {
    private static let page = SourceTree.package.appending(path: "docs/changing-a-view.md")
    private let lines: [String]

    init() throws {
        lines = try String(contentsOf: Self.page, encoding: .utf8).components(separatedBy: "\n")
    }

    /// A fenced block: its language, and the lines between the fences.
    private struct Block {
        var language: String
        var range: Range<Int>
    }

    private var blocks: [Block] {
        var blocks: [Block] = []
        var start: Int?
        for (index, line) in lines.enumerated() where line.hasPrefix("```") {
            if let open = start {
                blocks.append(
                    Block(language: String(lines[open].dropFirst(3)), range: (open + 1)..<index))
                start = nil
            } else {
                start = index
            }
        }
        return blocks
    }

    private func first(_ language: String) throws -> ArraySlice<String> {
        lines[try #require(blocks.first { $0.language == language }).range]
    }

    /// Makes the edit of the page in the source of the view.
    func edit(_ source: String) -> String {
        var source = source
        let changes = (try? first("diff")) ?? []
        for (old, new) in zip(changes, changes.dropFirst()) where old.hasPrefix("-") {
            source = source.replacing(old.dropFirst(), with: new.dropFirst())
        }
        return source
    }

    /// Runs the commands in a folder.
    /// - Parameters:
    ///   - old: The program as it was before the edit.
    ///   - new: The program after it.
    func act(in folder: String, old: String, new: String) throws {
        let events = try first("json").joined(separator: "\n") + "\n"
        try Data(events.utf8).write(to: URL(filePath: folder + "/orders.ndjson"))
        // The previous program, for its side of `kappa why`.
        try FileManager.default.createSymbolicLink(
            atPath: folder + "/kappa-before", withDestinationPath: old)
        let edit = try #require(blocks.first { $0.language == "diff" }).range.lowerBound
        var written = lines
        for block in blocks.reversed() where block.language == "console" {
            written.replaceSubrange(block.range, with: lines[block.range].filter(Self.isCommand))
        }
        var shift = 0
        for block in blocks where block.language == "console" {
            let program = block.range.lowerBound < edit ? old : new
            var printed: [String] = []
            for command in lines[block.range].filter(Self.isCommand) {
                printed.append(command)
                printed += try Self.run(String(command.dropFirst(2)), program, in: folder)
            }
            #expect(
                Self.normalised(Array(lines[block.range])) == Self.normalised(printed),
                "docs/changing-a-view.md, line \(block.range.lowerBound): KAPPA_RECORD=1 rewrites it"
            )
            let commands = lines[block.range].count(where: Self.isCommand)
            let start = block.range.lowerBound + shift
            written.replaceSubrange(start..<(start + commands), with: printed)
            shift += printed.count - block.range.count
        }
        if ProcessInfo.processInfo.environment["KAPPA_RECORD"] != nil {
            try Data(written.joined(separator: "\n").utf8).write(to: Self.page)
        }
    }

    private static func isCommand(_ line: String) -> Bool { line.hasPrefix("$ ") }

    /// Runs a line of `sh` in which `kappa` is the program; returns its output, including errors.
    private static func run(
        _ command: String, _ program: String, in folder: String
    ) throws -> [String] {
        let bin = folder + "/bin"
        try? FileManager.default.removeItem(atPath: bin)
        try FileManager.default.createDirectory(atPath: bin, withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(
            atPath: bin + "/kappa", withDestinationPath: program)
        let finished = try KappaProgram.Child(
            ["/bin/sh", "-c", "{ \(command); } 2>&1"], in: folder, input: nil,
            environment: ["PATH": bin + ":/usr/bin:/bin"]
        ).wait()
        return finished.output.split(separator: "\n").map(String.init)
    }

    /// The lines without the times, which differ on each run.
    private static func normalised(_ lines: [String]) -> [String] {
        lines.map { line in
            line
                .replacing(#/\d{4}-\d\d-\d\dT[0-9:.]+Z/#, with: "TIME")
                .replacing(#/\d+(\.\d+)? [kMG]?i?B\b/#, with: "SIZE")
                .replacing(#/[0-9.]+(?=\s+\d+\s+\d{5,}$)/#, with: "SECONDS")
                .replacing(#/\b\d{5,}\b/#, with: "BYTES")
                .replacing(#/\s+/#, with: " ")
        }
    }
}
