import KappaTesting
import Testing

@testable import KappaCore

@Suite("Queues bounded in bytes")
struct BoundedQueueTests {
    @Test("it behaves like an array, whatever is put in and taken")
    func reference() {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        for _ in 0..<200 {
            let mostCount = Int.random(in: 1...60, using: &random)
            let mostBytes = Int.random(in: 1...3_000, using: &random)
            var queue = BoundedQueue<Int>(mostCount: mostCount, mostBytes: mostBytes)
            var reference: [(element: Int, bytes: Int)] = []
            // In some runs more is put in than taken, in others the reverse.
            let puts = Int.random(in: 1...9, using: &random)
            for number in 0..<300 {
                if Int.random(in: 0..<10, using: &random) < puts {
                    let bytes = Int.random(in: 0...200, using: &random)
                    queue.append(number, bytes: bytes)
                    reference.append((number, bytes))
                } else if Bool.random(using: &random) {
                    #expect(queue.popFirst() == reference.first?.element)
                    if !reference.isEmpty { reference.removeFirst() }
                } else {
                    let most = Int.random(in: 0...500, using: &random)
                    var left = most
                    let count = reference.enumerated().prefix { index, entry in
                        left -= entry.bytes
                        return index == 0 || left >= 0
                    }.count
                    #expect(
                        queue.popFirst(upToBytes: most) == reference.prefix(count).map(\.element))
                    reference.removeFirst(count)
                }
                let bytes = reference.reduce(0) { $0 + $1.bytes }
                #expect(queue.count == reference.count, "KAPPA_SEED=\(seed)")
                #expect(queue.bytes == bytes, "KAPPA_SEED=\(seed)")
                #expect(queue.isEmpty == reference.isEmpty)
                #expect(queue.hasRoom == (reference.count < mostCount && bytes < mostBytes))
                // Its memory use follows its contents.
                let least = BoundedQueue<Int>.leastCapacity
                #expect(queue.capacity <= max(least, 4 * queue.count + 4), "KAPPA_SEED=\(seed)")
            }
        }
    }

    @Test("what was taken is freed at once, although the queue is never empty")
    func frees() {
        final class Counted {
            let alive: Monitor<Int>
            init(_ alive: Monitor<Int>) {
                self.alive = alive
                alive.withLock { $0 += 1 }
            }
            deinit { alive.withLock { $0 -= 1 } }
        }
        let alive = Monitor(0)
        var queue = BoundedQueue<Counted>()
        for _ in 0..<10 { queue.append(Counted(alive)) }
        for _ in 0..<1_000 {
            queue.append(Counted(alive))
            _ = queue.popFirst()
            #expect(alive.withLock { $0 } == 10)
        }
        #expect(queue.capacity == 16)
    }
}
