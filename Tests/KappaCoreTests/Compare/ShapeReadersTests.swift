import KappaTesting
import Testing

@testable import KappaCore

/// Readers of a view while versions of other shapes are promoted: followers in small steps, `why`, `verify`.
@Suite("Readers of a view whose tables change shape") struct ShapeReadersTests {
    private struct Sale: Event, ViewRow {
        var k: String
        var v: Int
        static let eventType: String? = nil
        var amount: ExactDecimal { ExactDecimal(v) }
    }

    private static let sales = Events(Sale.self)

    private struct Shaped: AnyView {
        var name = "shape"
        var file = #fileID
        var steps: [any ViewStep]
        var explicitDigest: String?

        init(_ shape: Int, _ steps: any ViewStep...) {
            self.steps = steps
            explicitDigest = "\(shape)"
        }
    }

    /// Varies the names, types and number of keys (or has none), the columns and their types, and the tables.
    private static func view(_ shape: Int) -> any AnyView {
        let byK = sales.grouped(by: \.k)
        let byV = sales.grouped(by: \.v)
        return switch shape {
        case 0: Shaped(0, byK.aggregate(.count().as("n")))
        case 1: Shaped(1, byV.aggregate(.count().as("n")))
        case 2: Shaped(2, sales.grouped(by: \.k, \.v).aggregate(.count().as("n")))
        case 3: Shaped(3, sales.grouped(by: \.v, \.k).aggregate(.count().as("n")))
        case 4: Shaped(4, sales.grouped(as: "other") { $0.k }.aggregate(.count().as("n")))
        case 5: Shaped(5, sales.grouped(as: "k") { $0.v % 2 == 0 }.aggregate(.count().as("n")))
        case 6: Shaped(6, sales.aggregate(.count().as("n")))
        case 7: Shaped(7, byK.aggregate(.sum(of: { $0.amount }).as("n"), .last(\.v).as("last")))
        case 8: Shaped(8, byK.aggregate(.sum(of: { Double($0.v) }).as("n")))
        case 9: Shaped(9, byK.aggregate(.sum(\.v).as("n")))
        case 10: Shaped(10, sales.rows())
        case 11: Shaped(11, byK.top(2, by: .descending(\.v)))
        case 12:
            Shaped(
                12, byV.aggregate(.count().as("n")).into("further"),
                byK.aggregate(.count().as("n")).into("shape"))
        default: Shaped(13, byV.aggregate(.sum(\.v).as("n")).into("further"))
        }
    }

    private static let shapes = 0...13

    private static func lines(_ count: Int, _ random: inout SplitMix) -> [String] {
        (0..<count).map { _ in
            Tick.line(
                "k\(Int.random(in: 0..<4, using: &random))", Int.random(in: 0..<5, using: &random))
        }
    }

    @Test("followers that read in small steps keep up with events and promotions of any shape")
    func followers() throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        for round in 0..<12 {
            let folder = try VersionsFolder()
            try folder.append(Self.lines(10, &random))
            var shape = Int.random(in: Self.shapes, using: &random)
            try folder.catchUp([Self.view(shape)])
            let mirror = try Mirror("shape", folder)
            for step in 0..<12 {
                let comment: Comment = "KAPPA_SEED=\(seed) round \(round), step \(step): \(shape)"
                switch Int.random(in: 0..<6, using: &random) {
                case 0:
                    shape = Int.random(in: Self.shapes, using: &random)
                    try folder.catchUp([Self.view(shape)], rebuilds: true)
                case 1, 2:
                    try folder.append(Self.lines(Int.random(in: 1...3, using: &random), &random))
                    try folder.catchUp([Self.view(shape)])
                default:
                    try mirror.poll(atMost: Int.random(in: 1...4, using: &random))
                }
                let live = try #require(try folder.catalog().live("shape"), comment)
                if Int.random(in: 0..<4, using: &random) == 0 {
                    try mirror.poll()
                    let wanted = try Mirror.rows(folder.reader("shape", live.rawValue))
                    #expect(mirror.rows.filter { !$0.value.isEmpty } == wanted, comment)
                }
            }
        }
    }

    private static func definition(_ shape: Int) throws -> ViewDefinition {
        try ViewSet([view(shape)]).definitions()[0]
    }

    @Test(
        "why shows a key of either of two versions; the version without that key has no row"
    )
    func why() throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        let folder = try VersionsFolder()
        try folder.append(Self.lines(30, &random))
        let end = Offset(30)
        for before in Self.shapes {
            for after in Self.shapes.filter({ $0 != before }).shuffled(using: &random).prefix(5) {
                let both = [try Self.definition(before), try Self.definition(after)]
                let comment: Comment = "KAPPA_SEED=\(seed) \(before) → \(after)"
                for side in 0...1 {
                    let aside = try ScratchVersion(both[side], to: end, in: folder.data)
                    let schema = both[side].tables[0]
                    guard let row = try folder.values(aside.reader).first else { continue }
                    let key = try JSONValue(
                        parsing:
                            "[\(schema.keyColumns.map { row[$0].jsonText }.joined(separator: ","))]"
                    )
                    let why = try Why(both, key: key, table: schema.name, to: end, in: folder.data)
                    let alone = try Why(
                        [both[side]], key: key, table: schema.name, to: end, in: folder.data)
                    var last: [[Value]?] = []
                    var touched = 0
                    try why.run { step in
                        last = step.rows
                        if step.touched[side] { touched += 1 }
                        return true
                    }
                    var wanted = 0
                    try alone.run { _ in
                        wanted += 1
                        return true
                    }
                    #expect(last.count == 2 && last[side] == row, comment)
                    #expect(touched == wanted, comment)
                    let isKey =
                        (try? both[1 - side].tables.first { $0.name == schema.name }?.key(key))
                        != nil
                    #expect((why.absences[1 - side] == nil) == isKey, comment)
                    #expect(isKey || last[1 - side] == nil, comment)
                }
                // A key of neither version is refused.
                #expect(throws: KappaError.self, comment) {
                    _ = try Why(
                        both, key: JSONValue(parsing: "[1,2,3,4]"), to: end, in: folder.data)
                }
            }
        }
    }

    @Test("verify finds every version sound by its own definition, whatever was promoted after it")
    func verify() throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        let folder = try VersionsFolder()
        try folder.append(Self.lines(30, &random))
        let all = Array(Self.shapes)
        for shape in all { try folder.catchUp([Self.view(shape)]) }
        for (index, shape) in all.enumerated() {
            let verifier = Verifier(try folder.catalog(), ViewSet([Self.view(shape)]))
            let result = try verifier.verify(VersionReference("shape", VersionNumber(index + 1)))
            #expect(result.isSound, "KAPPA_SEED=\(seed) \(shape): \(result)")
        }
        // With another definition it is not verified at all.
        let other = Verifier(try folder.catalog(), ViewSet([Self.view(0)]))
        let error = #expect(throws: KappaError.self) {
            _ = try other.verify(VersionReference("shape", nil))
        }
        #expect(error?.code == .notFound && error?.what.contains("definition") == true)
    }
}

extension VersionsFolder {
    /// The rows of a version's first table.
    fileprivate func values(_ reader: VersionReader) throws -> [[Value]] {
        var rows: [[Value]] = []
        try reader.forEachRow(table: 0) { rows.append(reader.tables[0].values($0)) }
        return rows
    }
}
