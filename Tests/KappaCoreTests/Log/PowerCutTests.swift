import Foundation
import KappaTesting
import Testing

@testable import KappaCore

@Suite("Power cuts, on a simulated disk")
struct PowerCutTests {
    /// One life of a log: appends by two writers, sealing, failed syncs, and a power cut at any call, three
    /// times in a row. Returns a description of what is wrong; nil if nothing is.
    private func flaw(seed: UInt64, skipsSync: Bool = false) throws -> String? {
        var random = SplitMix(state: seed)
        var folder = LogFolder()
        var tried: [String] = []
        for life in 0..<3 {
            var options = SimulatedDisk.Options()
            options.cutAtCall = Int.random(in: 1...80, using: &random)
            options.skipsSync = skipsSync
            if Int.random(in: 0..<3, using: &random) == 0 {
                options.failingSyncs = [Int.random(in: 0..<12, using: &random)]
            }
            let disk = try SimulatedDisk(folder, seed: random.next(), options: options)
            let (acknowledged, ticks) = live(folder, disk, life, &tried, &random)
            let seen = try published(folder)
            guard acknowledged.allSatisfy(Set(seen).contains), seen.count(where: \.isEmpty) >= ticks
            else {
                return "an acknowledged event is not in the log before the power cut"
            }
            let next = LogFolder()
            try disk.powerCut(to: next)
            // Checked in a copy: the next life does its own recovery, and the power may be cut during it.
            let copy = try next.copy()
            do {
                let writer = try LogWriter(copy.path, files: FaultyFiles())
                let texts = try LogTesting.texts(copy.path)
                if !texts.starts(with: seen) {
                    return "life \(life): of \(seen.count) durable events \(texts.count) are left"
                }
                // Of ticks there is no text.
                let events = texts.filter { !$0.isEmpty }
                if Set(events).count != events.count { return "life \(life): an event is double" }
                if !events.allSatisfy(Set(tried).contains) { return "life \(life): a wrong event" }
                _ = try writer.append(LogTesting.lines(["{}"]))
                if let damage = try LogVerification(copy.path).damage { return "\(damage)" }
            } catch { return "life \(life): \(error)" }
            folder = next
        }
        return nil
    }

    /// Uses the log until the power fails; returns what was acknowledged, and how many ticks.
    private func live(
        _ folder: LogFolder, _ disk: SimulatedDisk, _ life: Int, _ tried: inout [String],
        _ random: inout SplitMix
    ) -> (events: [String], ticks: Int) {
        var acknowledged: [String] = []
        var ticks = 0
        var writers: [LogWriter] = []
        for step in 0..<60 where !disk.isDead {
            let choice = Int.random(in: 0..<12, using: &random)
            if writers.isEmpty || writers.count < 2 && choice == 0 {
                if let writer = try? LogWriter(folder.path, segmentBytes: 900, files: disk) {
                    writers.append(writer)
                }
            } else if choice == 1 {
                _ = try? LogSealer(folder.path, zstd: true, files: disk).seal()
            } else if choice == 2 {
                let index = Int.random(in: 0..<writers.count, using: &random)
                let name = "\(life)/\(step)"
                do {
                    _ = try writers[index].append(.declaration(name))
                    _ = try writers[index].append(.time(Int64(step), source: name))
                    ticks += 2
                } catch { writers.remove(at: index) }
            } else {
                let count = Int.random(in: 1...6, using: &random)
                let texts = LogTesting.numbered(0..<count, by: "\(life)-\(step)")
                tried += texts
                let index = Int.random(in: 0..<writers.count, using: &random)
                do {
                    _ = try writers[index].append(LogTesting.lines(texts))
                    acknowledged += texts
                } catch {
                    // A writer that refuses is closed; the other one may still be open.
                    writers.remove(at: index)
                }
            }
        }
        return (acknowledged, ticks)
    }

    /// The events that readers may have seen at this moment.
    private func published(_ folder: LogFolder) throws -> [String] {
        guard folder.names.contains("head"),
            try LogHead.read(OpenFile(reading: folder.file("head"))) != nil
        else { return [] }
        return try LogTesting.texts(folder.path)
    }

    @Test("no event that was acknowledged, or that a reader could see, is lost")
    func nothingLost() throws {
        for round in 0..<200 {
            let seed = LogTesting.seed &+ UInt64(round)
            if let flaw = try flaw(seed: seed) {
                Issue.record("KAPPA_SEED=\(seed): \(flaw)")
                return
            }
        }
    }

    @Test("a disk that only pretends to sync loses events, and the test detects it")
    func control() throws {
        let flaws = try (0..<20).filter { try flaw(seed: $0, skipsSync: true) != nil }
        #expect(flaws.count > 10)
    }
}
