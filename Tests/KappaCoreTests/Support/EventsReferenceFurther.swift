@testable import KappaCore

/// More aggregates of a list of values, as the documentation words them.
extension EventsAggregates {
    /// Two passes: the mean, then the distances from it.
    static func variance(_ values: [Double?], sample: Bool) -> Value {
        let values = there(values)
        let divisor = Double(values.count - (sample ? 1 : 0))
        guard divisor > 0 else { return .null }
        // A mean is rounded, so equal values would seem to differ from it.
        if values.allSatisfy({ $0 == values[0] }) { return .double(0) }
        let mean = values.reduce(0, +) / Double(values.count)
        return .double(values.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / divisor)
    }

    static func deviation(_ values: [Double?], sample: Bool) -> Value {
        guard case .double(let variance) = variance(values, sample: sample) else { return .null }
        return .double(variance.squareRoot())
    }

    /// The value of the first element whose key no other key beats.
    static func arg<E, K>(
        _ elements: [E], value: (E) -> some ColumnValue, key: (E) -> K?,
        beats: (K, K) -> Bool
    ) -> Value {
        let keyed = elements.compactMap { element in key(element).map { (element, $0) } }
        let best = keyed.first { _, mine in !keyed.contains { beats($0.1, mine) } }
        return best.map { value($0.0).cell } ?? .null
    }

    static func bytesPrecede(_ a: String, _ b: String) -> Bool {
        Array(a.utf8).lexicographicallyPrecedes(b.utf8)
    }

    static func collected<V: ColumnValue>(_ values: [V?], limit: Int) -> Value {
        .json("[\(there(values).prefix(limit).map(\.cell.jsonText).joined(separator: ","))]")
    }

    /// The sketch of the set of values, independent of orders, cuts and merges.
    static func sketched(_ values: [String?]) -> Value {
        let sketch = DistinctSketch()
        for bytes in Set(there(values).map { Array($0.utf8) }).sorted(by: { $0.count > $1.count }) {
            sketch.insert(hash: bytes.withUnsafeBytes { DistinctSketch.hash($0) })
        }
        return .integer(sketch.estimate)
    }
    static func sketched(_ values: [Int]) -> Value {
        let sketch = DistinctSketch()
        for value in Set(values).sorted(by: >) {
            sketch.insert(hash: DistinctSketch.mix(UInt64(bitPattern: Int64(value))))
        }
        return .integer(sketch.estimate)
    }

    /// By nearest rank over the sorted values.
    static func quantile<V: ColumnValue>(
        _ values: [V?], _ fraction: Double, by precedes: (V, V) -> Bool
    ) -> Value {
        let sorted = there(values).sorted(by: precedes)
        if sorted.isEmpty { return .null }
        return sorted[max(0, Int((fraction * Double(sorted.count)).rounded(.up)) - 1)].cell
    }

    /// The value that represents the bucket of the exact quantile.
    static func bucketed(_ values: [Double?], _ fraction: Double) -> Value {
        guard case .double(let exact) = quantile(values, fraction, by: <) else { return .null }
        return .double(QuantileBucket.value(QuantileBucket.number(exact)))
    }

    /// The values of the best elements; a sort that keeps the order of equals decides.
    static func ranked<E, K>(
        _ elements: [E], _ limit: Int, value: (E) -> some ColumnValue, key: (E) -> K?,
        beats: (K, K) -> Bool
    ) -> Value {
        let keyed = elements.compactMap { element in key(element).map { (element, $0) } }
        let best = keyed.sorted { beats($0.1, $1.1) }.prefix(limit)
        return .json("[\(best.map { value($0.0).cell.jsonText }.joined(separator: ","))]")
    }

    /// For few small integers, whose quotient as a double is whole only if the exact one is.
    static func wholeAverage(_ values: [Int?], _ rule: FloatingPointRoundingRule) -> Value {
        let values = there(values)
        if values.isEmpty { return .null }
        let mean = Double(values.reduce(0, +)) / Double(values.count)
        return .integer(Int64(mean.rounded(rule)))
    }
}
