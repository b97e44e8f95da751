import Glibc
import KappaCore

/// Writes a query's result: a header and the rows, sorted by the bytes of their lines.
struct NexmarkResult {
    private let query: NexmarkQuery

    init(_ query: NexmarkQuery) { self.query = query }

    func write(_ reader: VersionReader, to path: String) throws {
        let schema = reader.tables[0]
        let columns = try query.columns.map { column in
            try BoundColumn(column, schema)
        }
        var lines: [[UInt8]] = []
        try reader.forEachRow(table: 0) { cursor in
            var line: [UInt8] = []
            for (index, column) in columns.enumerated() {
                if index > 0 { line.append(UInt8(ascii: ",")) }
                line += column.text(cursor).utf8
            }
            line.append(UInt8(ascii: "\n"))
            lines.append(line)
        }
        lines.sort(by: Self.precedes)
        guard let file = fopen(path, "w") else {
            throw KappaError(
                .cannotCreate, "cannot write a result", at: path,
                because: String(cString: strerror(errno)))
        }
        defer { fclose(file) }
        fputs(query.columns.map(\.name).joined(separator: ",") + "\n", file)
        for line in lines where fwrite(line, 1, line.count, file) < line.count {
            throw KappaError(
                .inputOutput, "cannot write a result", at: path,
                because: String(cString: strerror(errno)))
        }
    }

    /// The order of `LC_ALL=C sort`.
    private static func precedes(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        let order = a.withUnsafeBytes { a in
            b.withUnsafeBytes { b in
                a.baseAddress.flatMap { x in
                    b.baseAddress.map { memcmp(x, $0, min(a.count, b.count)) }
                } ?? 0
            }
        }
        return order < 0 || order == 0 && a.count < b.count
    }
}

/// A column of a result with its source columns in the view's table.
private struct BoundColumn {
    private let source: NexmarkColumn.Source
    private let schema: TableSchema
    private let places: [Int]

    init(_ column: NexmarkColumn, _ schema: TableSchema) throws(KappaError) {
        self.schema = schema
        source = column.source
        let names =
            switch column.source {
            case .column(let name), .threeDigits(let name), .day(let name), .minute(let name):
                [name]
            case .quotient(let a, let b): [a, b]
            }
        var places: [Int] = []
        for name in names {
            guard let place = schema.columns.firstIndex(where: { $0.name == name }) else {
                throw KappaError(.bug, "table \(schema.name) has no column \(name)")
            }
            places.append(place)
        }
        self.places = places
    }

    func text(_ row: any RowCursor) -> String {
        let value = schema.value(row, places[0])
        switch (source, value) {
        case (.threeDigits, .decimal(let decimal)): return Self.threeDigits(decimal)
        case (.day, .timestamp(let time)): return String(time.description.prefix(10))
        case (.minute, .timestamp(let time)):
            return String(time.description.dropFirst(11).prefix(5))
        case (.quotient, .integer(let a)):
            let b = row.integer(places[1])
            return b == 0 ? "" : "\(a / b)"
        case (_, .text(let text)), (_, .json(let text)): return text
        case (_, .integer(let integer)): return "\(integer)"
        case (_, .timestamp(let time)): return Self.milliseconds(time)
        case (_, .decimal(let decimal)): return "\(decimal)"
        case (_, .double(let double)): return "\(double)"
        case (_, .bool(let bool)): return "\(bool)"
        case (_, .null): return ""
        }
    }

    private static func threeDigits(_ decimal: ExactDecimal) -> String {
        let parts = "\(decimal)".split(separator: ".")
        let fraction = parts.count > 1 ? String(parts[1]) : ""
        return parts[0] + "." + fraction
            + String(repeating: "0", count: max(0, 3 - fraction.count))
    }

    /// A time with exactly three decimal places.
    private static func milliseconds(_ time: Timestamp) -> String {
        let second = time.start(ofWindow: .seconds(1))
        let thousandths = (time.microseconds - second.microseconds) / 1_000
        let digits = "\(1_000 + thousandths)".dropFirst()
        return second.description.dropLast() + "." + digits + "Z"
    }
}
