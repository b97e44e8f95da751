import CKappaJSON

/// A column that decides whether an event can be taken.
struct RequiredColumn {
    let column: Int
    let path: [String]
    let isOptional: Bool
    let isDecimal: Bool
    /// What it must be, for the reason of a dead letter.
    let expected: String

    /// The fields of a shape and the objects that they stand in, in the order in which decoding asks
    /// for them.
    static func all(
        of shape: EventShape, _ columns: [Int], _ plan: ExtractionPlan
    ) -> [RequiredColumn] {
        var known: Set<[String]> = []
        var all: [RequiredColumn] = []
        for (field, column) in zip(shape.fields, columns) {
            for depth in field.path.indices.dropLast() {
                let path = Array(field.path[...depth])
                guard known.insert(path).inserted else { continue }
                all.append(
                    RequiredColumn(
                        column: plan.objectColumn(at: path), path: path, isOptional: false,
                        isDecimal: false, expected: "an object"))
            }
            all.append(
                RequiredColumn(
                    column: column, path: field.path, isOptional: field.isOptional,
                    isDecimal: field.kind == .decimal, expected: field.kind.withArticle))
        }
        return all
    }

    /// Whether an event with this in its column can be taken.
    @inline(__always)
    func isGood(_ column: kj_column, _ row: Int) -> Bool {
        switch kj_state(UInt32(column.states[row])) {
        case KJ_VALUE:
            !isDecimal || column.scales[row] != UInt8(KJ_WIDE) || column.decimal(row) != nil
        case KJ_MISSING, KJ_NULL: isOptional
        default: false
        }
    }

    func failure(_ column: kj_column, _ row: Int) -> FieldFailure {
        .of(path, column, row, expected: expected)
    }
}
