/// Comparisons: both sides are converted to one type, or refused.
extension SQLRewriter {
    /// How the operands of one comparison are compared.
    private enum Family { case time, decimal, bool, number, text, native }

    func comparison(
        _ sign: String, _ left: SQLExpression, _ right: SQLExpression, _ range: Range<Int>,
        _ scope: SQLScope
    ) throws(SQLMistake) -> SQLTyped {
        let isOrder = ["<", "<=", ">", ">="].contains(sign)
        let operands = [try typed(left, scope), try typed(right, scope)]
        for (row, select) in [(operands[0], operands[1]), (operands[1], operands[0])] {
            guard let columns = select.columns else { continue }
            guard row.columns == nil else {
                throw SQLMistake(
                    range, "two subqueries of several columns are compared",
                    "Compare their columns one by one")
            }
            let parts = try compared(
                row, columns, String(select.text.dropFirst().dropLast()), select.range,
                isOrder: isOrder)
            return SQLTyped(.bool, splice(range, parts), range)
        }
        // `x IS TRUE` tests whether x is true; it compares nothing.
        if sign.hasPrefix("IS"), !sign.hasSuffix("FROM"), case .column(let name) = right.kind,
            name.isBare, name.table == nil, operands[1].type == .bool,
            ["true", "false"].contains(name.name.lowercased())
        {
            return SQLTyped(.bool, splice(range, operands), range)
        }
        return SQLTyped(.bool, splice(range, try compared(operands, isOrder: isOrder)), range)
    }

    /// The operands of one comparison, rewritten so that SQLite compares them correctly.
    func compared(_ operands: [SQLTyped], isOrder: Bool) throws(SQLMistake) -> [SQLTyped] {
        guard operands.contains(where: { $0.parts != nil }) else {
            let family = try family(operands)
            let solid = operands.first { $0.literal == nil && $0.type != .null }
            var result: [SQLTyped] = []
            for operand in operands {
                do throws(SQLMistake) { result.append(try fitted(operand, family, isOrder)) } catch
                {
                    // A literal is wrong because of the operand beside it, so the message names both.
                    guard let solid, operand.literal != nil, error.range == operand.range else {
                        throw error
                    }
                    var mistake = error
                    mistake.reason = "\(name(solid)) is \(solid.type.noun), and \(error.reason)"
                    throw mistake
                }
            }
            return result
        }
        // Row values are compared part by part.
        let count = operands.compactMap { $0.parts?.count }.max() ?? 0
        guard operands.allSatisfy({ $0.parts?.count == count }) else {
            throw SQLMistake(
                operands[0].range, "rows of different length are compared",
                "Write as many values on both sides")
        }
        var columns: [[SQLTyped]] = []
        for index in 0..<count {
            columns.append(
                try compared(operands.compactMap { $0.parts?[index] }, isOrder: isOrder))
        }
        return operands.indices.map { index in
            var row = operands[index]
            row.text = splice(row.range, columns.map { $0[index] })
            return row
        }
    }

    // MARK: Families

    private func family(_ operands: [SQLTyped]) throws(SQLMistake) -> Family {
        let solid = operands.filter { $0.literal == nil && $0.type != .null }
        func first(_ matches: (SQLType) -> Bool) -> SQLTyped? { solid.first { matches($0.type) } }
        if let time = first({ $0 == .time }) {
            for other in operands { try checkTime(time, other) }
            return .time
        }
        if let decimal = first({ $0 == .decimal }) {
            if let bool = first({ $0 == .bool }) { throw mismatch(decimal, bool) }
            return .decimal
        }
        if first({ $0 == .bool }) != nil { return .bool }
        if let number = first(\.isNumber) {
            if let text = first(\.isText) { throw mismatch(number, text) }
            return .number
        }
        if first(\.isText) != nil { return .text }
        // A parameter may be a decimal.
        return operands.contains { $0.type == .decimal } ? .decimal : .native
    }

    private func checkTime(_ time: SQLTyped, _ other: SQLTyped) throws(SQLMistake) {
        switch other.type {
        case .time, .null, .unknown, .text, .json: return
        case .bool, .integer, .double, .decimal:
            throw SQLMistake(
                other.range,
                "\(name(time)) is a time, and \(name(other)) is \(other.type.noun)",
                SQLLiteral.howToWriteTimes)
        }
    }

    func mismatch(_ one: SQLTyped, _ other: SQLTyped) -> SQLMistake {
        SQLMistake(
            other.range,
            "\(name(one)) is \(one.type.noun), and \(name(other)) is \(other.type.noun)",
            "Compare values of one type: CAST(x AS TEXT), or AS INTEGER, REAL or DECIMAL, converts one "
                + "to the other's")
    }

    private func fitted(
        _ operand: SQLTyped, _ family: Family, _ isOrder: Bool
    ) throws(SQLMistake) -> SQLTyped {
        switch family {
        case .native: return operand
        case .time: return try asTime(operand)
        case .decimal: return isOrder ? try ordered(operand) : try asDecimal(operand)
        case .bool: return try fittedBool(operand)
        case .number:
            guard case .text(let text) = operand.literal else { return operand }
            guard let number = SQLLiteral.number(text) else {
                throw SQLMistake(
                    operand.range, "'\(text)' is not a number", "Write a number, such as 12.5")
            }
            return SQLTyped(.double, "(\(number))", operand.range)
        case .text:
            guard case .number(let text) = operand.literal else { return operand }
            let written = text.contains("x") || text.contains("X") ? SQLLiteral.number(text) : text
            return SQLTyped(.text, SQLLiteral.quoted(written ?? text), operand.range)
        }
    }

    /// A decimal as bytes that sort as the numbers do.
    func ordered(_ operand: SQLTyped) throws(SQLMistake) -> SQLTyped {
        if operand.type == .null { return operand }
        let number = operand.literal == nil ? operand : try asDecimal(operand)
        if number.type == .time { throw mistake(operand, "is a time and not a number") }
        return wrapped(number, "_kappa_order", .unknown)
    }

    private func fittedBool(_ operand: SQLTyped) throws(SQLMistake) -> SQLTyped {
        switch operand.literal {
        case .text(let text), .number(let text):
            switch text.lowercased() {
            case "true", "1": return SQLTyped(.bool, "1", operand.range)
            case "false", "0": return SQLTyped(.bool, "0", operand.range)
            default:
                throw SQLMistake(
                    operand.range, "\(name(operand)) is not a boolean", "Write true or false")
            }
        case nil: break
        }
        return operand.type.isText || operand.type == .unknown
            ? wrapped(operand, "_kappa_bool", .bool) : operand
    }

    // MARK: IN, and rows of a subquery

    func among(
        _ operand: SQLTyped, _ set: SQLSet, _ range: Range<Int>, _ scope: SQLScope
    ) throws(SQLMistake) -> SQLTyped {
        switch set {
        case .list(let items):
            var operands = [operand]
            for item in items { operands.append(try typed(item, scope)) }
            return SQLTyped(.bool, splice(range, try compared(operands, isOrder: false)), range)
        case .select(let select, let brackets):
            let inner = try self.select(select, scope)
            let body = splice(
                brackets.lowerBound + 1..<brackets.upperBound - 1,
                [(select.range, inner.text)])
            let parts = try compared(operand, inner.columns, body, brackets, isOrder: false)
            return SQLTyped(.bool, splice(range, parts), range)
        case .table(let source):
            let (columns, text) = try self.source(source, scope, isSet: true)
            let parts = try compared(
                operand, columns, "SELECT * FROM \(text)", source.range, isOrder: false)
            // If nothing is converted, the name stays as it was.
            let isSame = parts[1].text == "(SELECT * FROM \(text))"
            let set = isSame ? SQLTyped(.unknown, text, source.range) : parts[1]
            return SQLTyped(.bool, splice(range, [parts[0], set]), range)
        }
    }

    /// Compares one value or row with the columns of a select. Where the select's columns need a
    /// conversion, another select around it does that.
    private func compared(
        _ operand: SQLTyped, _ columns: [SQLColumn], _ select: String, _ range: Range<Int>,
        isOrder: Bool
    ) throws(SQLMistake) -> [SQLTyped] {
        let values = operand.parts ?? [operand]
        guard values.count == columns.count else {
            throw SQLMistake(
                range,
                "\(values.count) \(values.count == 1 ? "value is" : "values are") compared "
                    + "with rows of \(columns.count) columns")
        }
        let names = columns.indices.map { "c\($0 + 1)" }
        var fittedValues: [SQLTyped] = []
        var fittedColumns: [String] = []
        for (index, value) in values.enumerated() {
            // Messages quote the select instead of the column.
            let column = SQLTyped(columns[index].type, names[index], range)
            let pair = try compared([value, column], isOrder: isOrder)
            fittedValues.append(pair[0])
            fittedColumns.append(pair[1].text)
        }
        var text = "(\(select))"
        if fittedColumns != names {
            // No table and no column has a name with a space in it.
            text =
                "(WITH \"kappa set\"(\(names.joined(separator: ", "))) AS (\(select)) "
                + "SELECT \(fittedColumns.joined(separator: ", ")) FROM \"kappa set\")"
        }
        var row = operand
        row.text = operand.parts == nil ? fittedValues[0].text : splice(operand.range, fittedValues)
        return [row, SQLTyped(.unknown, text, range)]
    }
}
