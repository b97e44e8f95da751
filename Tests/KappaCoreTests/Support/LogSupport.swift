import Foundation
import Glibc
import Testing

@testable import KappaCore

/// A folder for one test, removed with the object.
final class LogFolder: Sendable {
    let path: String
    private let isKept: Bool

    init() {
        isKept = false
        // In memory if possible: where these tests need a disk, they use a simulated one.
        let memory = "/dev/shm/"
        let parent = access(memory, W_OK) == 0 ? memory : NSTemporaryDirectory()
        path = parent + "kappa-log-\(UUID().uuidString)"
        try? FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
    }

    /// A folder that is there already, and stays.
    init(at path: String) {
        self.path = path
        isKept = true
    }

    deinit { if !isKept { try? FileManager.default.removeItem(atPath: path) } }

    var names: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }

    func file(_ name: String) -> String { path + "/" + name }

    func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: file(name))))
    }

    func write(_ bytes: [UInt8], to name: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: file(name)))
    }

    /// A copy with the same files.
    func copy() throws -> LogFolder {
        let other = LogFolder()
        for name in names {
            try FileManager.default.copyItem(atPath: file(name), toPath: other.file(name))
        }
        return other
    }
}

/// An event as it was read back.
struct ReadEvent: Equatable {
    var offset: Offset
    var micros: Int64
    var source: String?
    var text: String
}

enum LogTesting {
    static let seed = Seeds.one()

    static func lines(_ texts: [String]) throws -> EventLines {
        try bytes(Array(texts.joined(separator: "\n").utf8))
    }

    static func bytes(_ bytes: [UInt8]) throws -> EventLines {
        try bytes.withUnsafeBytes { try EventLines($0) }
    }

    /// Events that contain their writer's name.
    static func numbered(_ range: Range<Int>, by name: String = "a") -> [String] {
        range.map { #"{"by":"\#(name)","n":\#($0)}"# }
    }

    static func read(
        _ folder: String, from: Offset? = nil, upTo end: Offset? = nil
    ) throws -> [ReadEvent] {
        let reader = try LogReader(folder)
        if let from { try reader.seek(to: from) }
        return try readOn(reader, upTo: end)
    }

    /// Continues reading to the end, and checks that digests and runs match the events.
    static func readOn(_ reader: LogReader, upTo end: Offset? = nil) throws -> [ReadEvent] {
        let buffer = BlockBuffer()
        var events: [ReadEvent] = []
        var digest = reader.digest
        while let block = try reader.next(into: buffer, upTo: end) {
            #expect(block.digestBefore == digest)
            digest = slowDigest(block, after: digest)
            #expect(block.digestAfter == digest)
            #expect(block.runs.reduce(0) { $0 + $1.events } == block.events)
            block.forEachEvent { event in
                events.append(
                    ReadEvent(
                        offset: event.offset, micros: event.run.ingestedAtMicros,
                        source: event.run.source?.name,
                        text: event.json.map { String(decoding: $0, as: UTF8.self) } ?? ""))
                return true
            }
        }
        return events
    }

    /// The digest after a block, line by line; what is left of an erased event stands for its line.
    private static func slowDigest(_ block: LogBlock, after before: LogDigest) -> LogDigest {
        if block.runs.allSatisfy({ $0.erased.isEmpty }) { return before.appending(block.payload) }
        var digest = before
        var lines = block.payload.split(separator: 0x0A)[...]
        for run in block.runs {
            for index in 0..<run.events {
                let line = Array(lines.removeFirst()) + [0x0A]
                if let erased = run.erased.first(where: { $0.index == index }) {
                    #expect(line == Array("{}\n".utf8))
                    digest = digest.appending(bytes: erased.bytes, crc: erased.crc)
                } else {
                    digest = line.withUnsafeBytes { digest.appending($0) }
                }
            }
        }
        return digest
    }

    static func texts(_ folder: String) throws -> [String] { try read(folder).map(\.text) }

    static func digest(of texts: some Sequence<String>) -> LogDigest {
        let bytes = Array((texts.map { $0 + "\n" }.joined()).utf8)
        return bytes.withUnsafeBytes { LogDigest.empty.appending($0) }
    }

    /// The program that was built together with these tests; nil if only the tests were built.
    static let program: String? = {
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
        guard let folder = own.map({ ($0 as NSString).deletingLastPathComponent }) else {
            return nil
        }
        let path = folder + "/kappa"
        return FileManager.default.isExecutableFile(atPath: path) ? path : nil
    }()

    /// Starts the program. Its output goes nowhere unless a pipe is given.
    static func start(
        _ arguments: [String], input: String? = nil, output: Pipe? = nil
    ) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try #require(program))
        process.arguments = arguments
        process.standardInput =
            try input.map { try FileHandle(forReadingFrom: URL(fileURLWithPath: $0)) }
            ?? FileHandle.nullDevice
        process.standardOutput = output ?? FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        return process
    }
}
