import KappaTesting
import Testing

@testable import KappaCore

/// Compares the order of packed rows with the order of the values themselves.
@Suite("The order of packed rows")
struct OrderedCellsTests {
    private static func decimal(_ random: inout SplitMix) -> ExactDecimal {
        let digits = [2, 5, 14, 15, 16, 18].randomElement(using: &random) ?? 2
        let most = (0..<digits).reduce(Int64(1)) { power, _ in power * 10 } - 1
        // Neighbouring numbers, so that the last digit counts.
        let mantissa =
            Bool.random(using: &random)
            ? most - Int64.random(in: 0...3, using: &random)
            : Int64.random(in: -most...most, using: &random)
        return ExactDecimal(
            mantissa: Int128(mantissa), scale: Int.random(in: 0...digits, using: &random))
    }

    @Test("decimals order by their values, however they are stored")
    func decimals() {
        for seed in Seeds.random(4) {
            var random = SplitMix(state: seed)
            let (builder, arena) = (PackedRowBuilder(cells: 1), RowArena())
            let decimals = (0..<300).map { _ in Self.decimal(&random) }
            let rows = decimals.map { decimal in
                builder.begin()
                DecimalCell.bind(decimal, to: builder, at: 0)
                return builder.finish(in: arena)
            }
            let part = OrderedCells.Part(cell: 0, kind: .decimal, isDescending: false)
            let order = OrderedCells([part], cells: 1, mayBeNull: false)
            for a in decimals.indices {
                for b in decimals.indices {
                    let expected =
                        decimals[a] < decimals[b] ? -1 : decimals[a] == decimals[b] ? 0 : 1
                    #expect(
                        order.compare(rows[a], rows[b]) == expected,
                        "\(decimals[a]) and \(decimals[b]), seed \(seed)")
                }
            }
        }
    }

    @Test("the last of the best equals that of sorting all rows")
    func last() {
        for seed in Seeds.random(20) {
            var random = SplitMix(state: seed)
            let (builder, arena) = (PackedRowBuilder(cells: 1), RowArena())
            let count = Int.random(in: 0...200, using: &random)
            let spread = Int64.random(in: 0...300, using: &random)
            let values = (0..<count).map { _ in Int64.random(in: 0...spread, using: &random) }
            let rows = values.map { value in
                builder.begin()
                builder.bind(0, value)
                return builder.finish(in: arena)
            }
            let part = OrderedCells.Part(cell: 0, kind: .integer, isDescending: true)
            let order = OrderedCells([part], cells: 1, mayBeNull: false)
            let limit = Int.random(in: 1...20, using: &random)
            let sorted = values.sorted(by: >)
            #expect(
                order.last(of: limit, rows)?.integer(0, of: 1)
                    == (count < limit ? nil : sorted[limit - 1]), "seed \(seed)")
        }
    }
}
