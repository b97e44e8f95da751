import KappaTesting
import Testing

@testable import KappaCore

private struct Sample: Event {
    var k: String
    var v: Double
    static let eventType: String? = nil
}

/// Counts how often it finds a value that it had left as NaN.
private struct Ratio: ViewRow {
    var last: Double?
    var missing = 0
    mutating func take(_ sample: Sample) {
        if last == nil { missing += 1 }
        last = sample.v == 0 ? .nan : 1 / sample.v
    }
}
private struct HiddenRatio: ViewRow {
    var last: Double?
    var missing = 0
    @Hidden var values: [Double] = []
    mutating func take(_ sample: Sample) {
        if last == nil { missing += 1 }
        last = sample.v == 0 ? .nan : 1 / sample.v
        values.append(last ?? .infinity)
        missing += values.count { $0.isNaN || $0.isInfinite }
    }
}
private struct Old: ViewRow {
    struct Part: Codable, Equatable, Sendable { var n = 1 }
    var parts = [Part()]
}
private struct New: ViewRow {
    struct Part: Codable, Equatable, Sendable { var count = 1 }
    var parts = [Part()]
}

/// The row that handlers get does not depend on whether it was read back from the store.
@Suite("Rows of folds, in memory and read back")
struct FoldStoredRowTests {
    private let lines = [0, 1, 0, 0, 2, 0, 0, 4, 0, 0].enumerated().map {
        #"{"k":"k\#($0 % 3)","v":\#($1)}"#
    }

    @Test("an optional double is never NaN, whatever is committed in between")
    func noNumber() throws {
        let shown = View("ratios", initially: Ratio(), digest: "1") {
            On(Sample.self, key: \.k) { sample, row in row.take(sample) }
        }
        try Scenario(shown).given(lines: lines).expect("k,missing", "k0,4", "k1,1", "k2,3")
        let hidden = View("ratios", initially: HiddenRatio(), digest: "1") {
            On(Sample.self, key: \.k) { sample, row in row.take(sample) }
        }
        _ = try Scenario(hidden).given(lines: lines).rows()
    }

    @Test("a row that its type can no longer read is an error that says what to do")
    func changedType() throws {
        let folder = try VersionsFolder()
        try folder.append(lines)
        let old = View("parts", row: Old.self, digest: "1") {
            On(Sample.self, key: \.k) { _, row in row = row ?? Old() }
        }
        let new = View("parts", row: New.self, digest: "1") {
            On(Sample.self, key: \.k) { _, row in row = row ?? New() }
        }
        try folder.catchUp([old])
        try folder.append(lines)
        let error = #expect(throws: KappaError.self) {
            let definition = try ViewSet([new]).definitions()[0]
            let store = try VersionStore.open(
                VersionID("parts", VersionNumber(1)), definition, in: folder.data)
            try ScratchVersion.advance(
                store, definition, to: Offset(20), in: folder.data, way: ReplayWay()
            ) { _, _ in }
        }
        #expect(error?.reason == "field parts.0.count is missing")
        #expect(error?.advice?.contains("kappa rebuild") == true)
    }
}
