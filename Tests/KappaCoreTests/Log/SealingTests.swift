import Foundation
import Glibc
import KappaTesting
import Testing

@testable import KappaCore

@Suite("Sealing")
struct SealingTests {
    private let folder = LogFolder()

    /// A log of single appends from two sources and none, in several segments.
    private func fill(_ count: Int) throws -> LogWriter {
        let writer = try LogWriter(folder.path, segmentBytes: 4_000, files: FaultyFiles())
        for n in 0..<count {
            let source: SourceBatch? =
                n % 3 == 0 ? nil : .init(name: "s\(n % 3)", position: UInt64(n / 3))
            _ = try writer.append(
                LogTesting.lines(LogTesting.numbered(n..<(n + 1))), source: source)
        }
        return writer
    }

    @Test(
        "a sealed log has the same events, offsets, times, sources and digests, and is smaller",
        arguments: [false, true])
    func same(zstd: Bool) throws {
        let writer = try fill(300)
        let before = try LogTesting.read(folder.path)
        let info = try LogInfo(folder.path)
        let reader = try LogReader(folder.path)
        let digests = try (0...300).map { try reader.digest(at: Offset(UInt64($0))) }

        let result = try LogSealer(folder.path, zstd: zstd, files: FaultyFiles()).seal()
        #expect(result.segments == info.segments && result.bytesBefore == info.bytes)
        // Runs of different times stay; sealing saves one header per append.
        #expect(result.bytesAfter < result.bytesBefore * (zstd ? 60 : 75) / 100)

        #expect(try LogTesting.read(folder.path) == before)
        for n in 0...300 {
            #expect(try reader.digest(at: Offset(UInt64(n))) == digests[n], "offset \(n)")
        }
        #expect(try LogVerification(folder.path).damage == nil)
        // The open writer continues, with its sources at the same positions.
        #expect(try writer.sourcePoint(of: "s1").position == 100)
        _ = try writer.append(LogTesting.lines(["{}"]))
        #expect(try LogTesting.texts(folder.path) == before.map(\.text) + ["{}"])
        // Sealing again, the other way.
        _ = try LogSealer(folder.path, zstd: !zstd, files: FaultyFiles()).seal()
        #expect(try LogTesting.texts(folder.path) == before.map(\.text) + ["{}"])
    }

    @Test("sealing an empty log does nothing")
    func empty() throws {
        _ = try LogWriter(folder.path)
        #expect(try LogSealer(folder.path, zstd: true).seal() == LogSealer.Result())
        #expect(try LogTesting.texts(folder.path) == [])
    }

    @Test("a reader in the middle of a segment continues undisturbed while it is sealed")
    func readerInTheMiddle() throws {
        _ = try fill(200)
        let expected = try LogTesting.read(folder.path)
        for stop in stride(from: 0, through: 200, by: 13) {
            let reader = try LogReader(folder.path)
            var events = try LogTesting.readOn(reader, upTo: Offset(UInt64(stop)))
            _ = try LogSealer(folder.path, zstd: stop % 2 == 0, files: FaultyFiles()).seal()
            events += try LogTesting.readOn(reader)
            #expect(events == expected, "stopped at \(stop)")
            // It can also go back, into the new files.
            try reader.seek(to: Offset(UInt64(stop / 2)))
            #expect(try LogTesting.readOn(reader) == Array(expected[(stop / 2)...]))
        }
    }

    @Test("appending, reading and sealing work at the same time")
    func together() throws {
        let writer = try fill(50)
        let path = folder.path
        let failures = Monitor<[String]>([])
        let isOver = Monitor(false)
        let sealer = try WorkerThread("seals") {
            while !isOver.withLock({ $0 }) {
                do {
                    _ = try LogSealer(path, zstd: true, files: FaultyFiles()).seal()
                } catch { failures.withLock { $0.append("\(error)") } }
                Pause.briefly()
            }
        }
        let reader = try LogReader(path)
        var read: [String] = []
        for n in 50..<400 {
            _ = try writer.append(LogTesting.lines(LogTesting.numbered(n..<(n + 1))))
            if n % 7 == 0 { read += try LogTesting.readOn(reader).map(\.text) }
        }
        isOver.withLock { $0 = true }
        sealer.join()
        read += try LogTesting.readOn(reader).map(\.text)
        #expect(failures.withLock { $0 } == [])
        #expect(read == LogTesting.numbered(0..<400))
        #expect(try LogTesting.texts(path) == LogTesting.numbered(0..<400))
    }

    @Test("two sealings of one log do not run at once")
    func twoSealers() throws {
        _ = try fill(10)
        let lock = try #require(try SealLock(folder.path, SystemFiles()))
        #expect { _ = try LogSealer(folder.path, zstd: false).seal() } throws: { error in
            (error as? KappaError)?.code == .heldElsewhere
        }
        // Nor does opening the log remove what the other one is writing.
        try folder.write([1], to: "00000000000000000000.log.sealing")
        _ = try LogWriter(folder.path)
        #expect(folder.names.contains { $0.hasSuffix(".sealing") })
        lock.unlock()
        _ = try LogWriter(folder.path)
        #expect(!folder.names.contains { $0.hasSuffix(".sealing") })
    }

    @Test("a damaged segment is not sealed")
    func damaged() throws {
        _ = try fill(60)
        let name = "00000000000000000000.log"
        var bytes = try folder.bytes(name)
        bytes[bytes.count / 2] ^= 8
        try folder.write(bytes, to: name)
        #expect { _ = try LogSealer(folder.path, zstd: true).seal() } throws: { error in
            (error as? KappaError)?.code == .damaged
        }
        #expect(try folder.bytes(name) == bytes)
    }

    @Test(
        "a killed sealing leaves each segment either as it was or sealed",
        // Needs the program, which is built together with the tests unless asked otherwise.
        .enabled(if: LogTesting.program != nil, "the program kappa is not built"))
    func killed() throws {
        let log = folder.file("log")
        let text = #"{"text":""# + String(repeating: "words of some length ", count: 1_000) + #""}"#
        var random = SplitMix(state: LogTesting.seed)
        let writer = try LogWriter(log, segmentBytes: 60_000, files: FaultyFiles())
        for _ in 0..<60 { _ = try writer.append(LogTesting.lines([text])) }
        let before = try LogTesting.read(log)
        for round in 0..<6 {
            let zstd = round % 2 == 0 ? ["--zstd"] : []
            let process = try LogTesting.start(["log", "seal", "--data", folder.path] + zstd)
            // Killed after a random number of segments had been started.
            var seen: Set<String> = []
            let goal = Int.random(in: 1...10, using: &random)
            while process.isRunning, seen.count < goal {
                let names = Folder.allNames(in: log) ?? []
                seen.formUnion(names.filter { $0.hasSuffix(".sealing") })
                usleep(500)
            }
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            #expect(try LogTesting.read(log) == before, "seed \(LogTesting.seed)")
            _ = try LogWriter(log)
            #expect(Folder.allNames(in: log)?.contains { $0.hasSuffix(".sealing") } == false)
        }
        let last = try LogTesting.start(["log", "seal", "--data", folder.path, "--zstd"])
        last.waitUntilExit()
        #expect(last.terminationStatus == 0)
        #expect(try LogTesting.read(log) == before)
    }
}
