import Glibc

/// A small table from outside of the log, such as currencies or shops, that a view looks things up in.
///
/// It is read when the view is defined and does not change from then on, so that a replay finds the
/// same rows. Its contents are a part of the view's digest: other contents are another version.
public struct SideTable<Key: KeyValue, Row: ViewRow>: Sendable {
    @usableFromInline
    let rows: [Key: Row]
    @usableFromInline
    let digest: String

    /// A table of rows; where two have the same key, the last one counts.
    public init(_ rows: [Row], by key: KeyPath<Row, Key> & Sendable) {
        var byKey: [Key: Row] = [:]
        var hash = StableHash()
        for row in rows {
            byKey[row[keyPath: key]] = row
            let text = (try? JSONValue(encoding: row).json) ?? ""
            hash.add(text.utf8)
        }
        self.rows = byKey
        digest = hash.digits
    }

    /// A table of the JSON objects of a file, one on each line.
    /// - Throws: `.notFound`, or `.badInput` with the line that is not a row.
    public init(ndjson path: String, by key: KeyPath<Row, Key> & Sendable) throws(KappaError) {
        var rows: [Row] = []
        let text = try Self.read(path)
        for (index, line) in text.split(separator: 0x0A).enumerated() {
            do {
                let json = try line.withUnsafeBytes { try JSONValue(parsing: $0) }
                rows.append(try Row(from: ValueDecoder(json)))
            } catch {
                throw KappaError(
                    .badInput, "a line of a side table is not a row of \(Row.self)",
                    at: "\(path), line \(index + 1)", because: FieldFailure.reason(error),
                    advice: "Mend the file, or make the property optional")
            }
        }
        self.init(rows, by: key)
    }

    private static func read(_ path: String) throws(KappaError) -> [UInt8] {
        guard let file = fopen(path, "r") else {
            throw KappaError(
                .notFound, "cannot read a side table", at: path,
                because: String(cString: strerror(errno)),
                advice: "Check the name; it counts from where the program is started")
        }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { return bytes }
            bytes += chunk[..<count]
        }
    }

    /// The row of a key.
    @inlinable
    public subscript(key: Key) -> Row? { rows[key] }
}

extension EventStream {
    /// Looks each element up in a side table: one new element for each that is found there.
    @inlinable
    public func join<Key: KeyValue, Row: ViewRow, New>(
        _ table: SideTable<Key, Row>, on key: @escaping @Sendable (Element) throws -> Key,
        _ combine: @escaping @Sendable (Element, Row) throws -> New
    ) -> MappedStream<New> {
        compactMap { element in
            try table[key(element)].map { try combine(element, $0) }
        }.signed("side \(table.digest)")
    }
}
