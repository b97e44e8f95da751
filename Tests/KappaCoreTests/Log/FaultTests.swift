import Foundation
import Glibc
import Testing

@testable import KappaCore

@Suite("Failing disks")
struct FaultTests {
    private let folder = LogFolder()

    private func append(_ writer: LogWriter, _ text: String) -> KappaError? {
        do {
            _ = try writer.append(LogTesting.lines([text]))
            return nil
        } catch { return error as? KappaError ?? KappaError(.bug, "\(error)") }
    }

    /// Every call × errno × moment × once or forever.
    static let faults: [FaultyFiles.Fault] = FileCall.allCases.flatMap { call in
        [EIO, ENOSPC].flatMap { number in
            (0..<3).flatMap { after in
                [false, true].map { forEver in
                    FaultyFiles.Fault(
                        call: call, number: number, after: after, isForEver: forEver,
                        tears: after == 1 && !forEver)
                }
            }
        }
    }

    @Test(
        "a failing call acknowledges nothing, and loses no acknowledged event", arguments: faults)
    func failing(fault: FaultyFiles.Fault) throws {
        let files = FaultyFiles()
        let writer = try LogWriter(folder.path, segmentBytes: 250, files: files)
        var acknowledged: [String] = []
        var tried: [String] = []
        func round(_ numbers: Range<Int>) {
            for text in LogTesting.numbered(numbers) {
                tried.append(text)
                let error = append(writer, text)
                if error == nil { acknowledged.append(text) }
                if let error {
                    #expect(error.code == .inputOutput && error.reason != nil)
                    #expect(error.place != nil && error.advice != nil)
                }
            }
        }
        round(0..<4)
        files.set(fault)
        round(4..<12)
        // Readers meanwhile see what was acknowledged, and nothing else.
        #expect(try LogTesting.texts(folder.path) == acknowledged)
        files.set(nil)
        round(12..<14)
        #expect(try LogTesting.texts(folder.path) == acknowledged)

        // Opened again, the log has everything that was acknowledged, and beyond that at most the events that
        // were tried.
        let reopened = try LogWriter(folder.path, files: files)
        #expect(append(reopened, #"{"last":1}"#) == nil)
        let texts = try LogTesting.texts(folder.path)
        #expect(texts.filter { acknowledged.contains($0) } == acknowledged)
        #expect(Set(texts).count == texts.count && texts.last == #"{"last":1}"#)
        #expect(texts.dropLast().allSatisfy { tried.contains($0) })
        #expect(try LogVerification(folder.path).damage == nil)
    }

    @Test("after a failed fsync the writer refuses for good, and opening the log recovers it")
    func failedSync() throws {
        let files = FaultyFiles()
        let writer = try LogWriter(folder.path, files: files)
        #expect(append(writer, #"{"n":1}"#) == nil)
        files.set(.init(call: .sync, number: EIO))
        let first = append(writer, #"{"n":2}"#)
        #expect(first?.code == .inputOutput && first?.what.contains("durable") == true)
        files.set(nil)
        #expect(append(writer, #"{"n":3}"#) == first)
        #expect(throws: KappaError.self) { _ = try writer.roll() }
        #expect(try LogTesting.texts(folder.path) == [#"{"n":1}"#])
        #expect(files.calls[.sync] == nil, "fsync is never tried again")

        let reopened = try LogWriter(folder.path, files: files)
        // The part of the failed batch that is kept was written again before it was synced.
        #expect((files.calls[.write] ?? 0) >= 2 && files.calls[.sync] == 1)
        #expect(append(reopened, #"{"n":4}"#) == nil)
        #expect(try LogTesting.texts(folder.path) == [1, 2, 4].map { #"{"n":\#($0)}"# })
    }

    @Test("a full disk is reported and the batch cut back; appending continues once there is space")
    func full() throws {
        let files = FaultyFiles()
        let writer = try LogWriter(folder.path, files: files)
        #expect(append(writer, #"{"n":1}"#) == nil)
        let size = try LogInfo(folder.path).bytes
        files.set(.init(call: .write, number: ENOSPC, isForEver: true, tears: true))
        for _ in 0..<3 {
            let error = append(writer, #"{"n":2}"#)
            #expect(error?.code == .inputOutput && error?.advice?.contains("space") == true)
            #expect(try LogInfo(folder.path).bytes == size)
        }
        files.set(nil)
        #expect(append(writer, #"{"n":3}"#) == nil)
        #expect(try LogTesting.texts(folder.path) == [#"{"n":1}"#, #"{"n":3}"#])
    }

    @Test("a log that cannot be made durable does not open for appending, but reads")
    func failedRecovery() throws {
        let writer = try LogWriter(folder.path)
        #expect(append(writer, #"{"n":1}"#) == nil)
        let head = try folder.bytes("head")
        #expect(append(writer, #"{"n":2}"#) == nil)
        try folder.write(head, to: "head")
        let files = FaultyFiles()
        files.set(.init(call: .sync, number: EIO, isForEver: true))
        #expect { _ = try LogWriter(folder.path, files: files) } throws: { error in
            (error as? KappaError)?.code == .inputOutput
        }
        #expect(try LogTesting.texts(folder.path) == [#"{"n":1}"#])
    }

    @Test("a sealing that fails leaves the log as it was", arguments: faults)
    func sealing(fault: FaultyFiles.Fault) throws {
        let writer = try LogWriter(folder.path, segmentBytes: 600, files: FaultyFiles())
        let texts = LogTesting.numbered(0..<20)
        for text in texts { #expect(append(writer, text) == nil) }
        let before = try LogTesting.read(folder.path)
        let files = FaultyFiles()
        files.set(fault)
        let result = try? LogSealer(folder.path, zstd: true, files: files).seal()
        #expect(result != nil || files.calls.values.reduce(0, +) > 0)
        #expect(try LogTesting.read(folder.path) == before)
        #expect(append(writer, "{}") == nil)
        _ = try LogSealer(folder.path, zstd: false, files: FaultyFiles()).seal()
        #expect(try LogTesting.texts(folder.path) == texts + ["{}"])
        #expect(folder.names.contains { $0.hasSuffix(".sealing") } == false)
    }
}
