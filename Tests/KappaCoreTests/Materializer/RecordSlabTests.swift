import KappaTesting
import Testing

@testable import KappaCore

/// Records of several keys, put into chains, taken out, marked and committed in any order, compared with a
/// slow model.
@Suite("Records under keys") struct RecordSlabTests {
    private struct Model {
        var chains: [[UInt32]] = Array(repeating: [], count: 5)
        /// Numbers still in use: of records that exist, have changed, or are held.
        var there: Set<UInt32> = []
        var dirty: Set<UInt32> = []
        var held: Set<UInt32> = []
        var stored: Set<UInt32> = []

        func isKnown(_ id: UInt32) -> Bool {
            there.contains(id) || dirty.contains(id) || held.contains(id)
        }
    }

    @Test("chains, marks and numbers are those of a slow model", arguments: 0..<10)
    func model(round: Int) throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        let slab = RecordSlab(recordBytes: 24)
        var ends = Array(repeating: RecordSlab.Ends(first: 0, last: 0), count: 5)
        var model = Model()
        var inserted = 0
        for step in 0..<4_000 {
            switch random.next() % 10 {
            case 0..<5:
                let key = Int(random.next() % 5)
                let id = slab.insert(key: UInt32(key))
                try #require(!model.isKnown(id), "seed \(seed)")
                inserted += 1
                model.stored.remove(id)
                model.there.insert(id)
                model.chains[key].append(id)
                slab.append(id, to: &ends[key])
                slab.record(id).storeBytes(of: Int64(id) * 3, toByteOffset: 16, as: Int64.self)
                if random.next() % 2 == 0 {
                    slab.touch(id)
                    model.dirty.insert(id)
                }
                if random.next() % 3 == 0 {
                    slab.mark(id, RecordFlags.held)
                    model.held.insert(id)
                }
            case 5..<8:
                let key = Int(random.next() % 5)
                if model.chains[key].isEmpty { continue }
                let place = Int(random.next() % UInt64(model.chains[key].count))
                let id = model.chains[key].remove(at: place)
                #expect(slab.key(id) == UInt32(key), "seed \(seed)")
                slab.unlink(id, from: &ends[key])
                slab.remove(id)
                model.there.remove(id)
            case 8:
                guard let id = model.held.min() else { continue }
                slab.unmark(id, RecordFlags.held)
                model.held.remove(id)
            default:
                let written = slab.sortDirty { $0.sorted() }
                #expect(written == model.dirty.intersection(model.there).sorted(), "seed \(seed)")
                slab.committed()
                model.stored.formUnion(written)
                model.dirty = []
            }
            if step % 50 == 0 { check(slab, ends, model, seed) }
        }
        check(slab, ends, model, seed)
        #expect(slab.end < inserted, "numbers are used again; seed \(seed)")
    }

    private func check(
        _ slab: RecordSlab, _ ends: [RecordSlab.Ends], _ model: Model, _ seed: UInt64
    ) {
        for (key, chain) in model.chains.enumerated() {
            var found: [UInt32] = []
            var next = RecordSlab.number(ends[key].first)
            while let id = next {
                found.append(id)
                next = slab.next(id)
            }
            #expect(found == chain, "seed \(seed)")
            #expect(RecordSlab.number(ends[key].last) == chain.last, "seed \(seed)")
        }
        let known = (0..<UInt32(slab.end)).filter(model.isKnown)
        #expect(slab.count == known.count, "seed \(seed)")
        #expect(slab.all == known.filter(model.there.contains), "seed \(seed)")
        for id in model.there {
            let field = slab.record(id).load(fromByteOffset: 16, as: Int64.self)
            #expect(field == Int64(id) * 3, "seed \(seed)")
            #expect(
                slab.has(id, RecordFlags.stored) == model.stored.contains(id), "seed \(seed)")
        }
    }
}
