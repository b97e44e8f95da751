import Glibc
import KappaCore

/// What a folder of CSV files holds.
struct CSVManifest {
    struct Table {
        var schema: TableSchema
        /// The name of its file.
        var file: String
    }

    var position: SinkPosition
    /// Counts the commits.
    var generation: Int
    var tables: [Table]
    /// The files of the manifest before, which stay for readers that are at them.
    var previous: [String]

    private static let name = "manifest.json"
    private static let format = 1

    /// The folder's manifest; nil if it has none.
    static func read(_ folder: String) throws(KappaError) -> CSVManifest? {
        let path = "\(folder)/\(name)"
        guard try IOFailure.isThere(path) else { return nil }
        let bytes = try CSVFile.read(path)
        let json = try? bytes.withUnsafeBytes { try JSONValue(parsing: $0) }
        if let json, let manifest = CSVManifest(json) { return manifest }
        if let found = json?["format"]?.json, found != "\(format)" {
            throw KappaError(
                .usage, "a manifest cannot be read", at: path,
                because: "it has format \(found), and this kappa knows format \(format)",
                advice: "A newer kappa has written it: use that one, or name another folder")
        }
        throw KappaError(
            .damaged, "a manifest is damaged", at: path,
            because: "it is not the JSON that kappa writes",
            advice: "Remove the folder, and publish again")
    }

    /// Puts it in the place of the one before; durable when it returns.
    func write(to folder: String) throws(KappaError) {
        let path = "\(folder)/\(Self.name)"
        let output = try CSVWriter(path + ".new")
        try output.write(json.json)
        try output.finish()
        do throws(IOFailure) {
            try SystemFiles().syncFolder(folder)
            try SystemFiles().rename(path + ".new", to: path)
            try SystemFiles().syncFolder(folder)
        } catch {
            throw error.error("cannot replace a manifest", at: path)
        }
    }

    private var json: JSONValue {
        .object([
            ("format", .integer(Int64(Self.format))), ("view", .string(position.view)),
            ("id", .string(position.change.description)),
            ("offset", .unsigned(position.offset.rawValue)), ("digest", .string(position.digest)),
            ("generation", .integer(Int64(generation))),
            ("previous", .array(previous.map { .string($0) })),
            (
                "tables",
                .array(
                    tables.map { table in
                        .object([
                            ("name", .string(table.schema.name)), ("file", .string(table.file)),
                            (
                                "columns",
                                .array(
                                    table.schema.columns.map { column in
                                        .object([
                                            ("name", .string(column.name)),
                                            ("kind", .string(column.kind.rawValue)),
                                            ("key", .bool(column.isKey)),
                                        ])
                                    })
                            ),
                        ])
                    })
            ),
        ])
    }
}

extension CSVManifest {
    fileprivate init?(_ json: JSONValue) {
        guard json["format"]?.json == "\(Self.format)",
            case .string(let view)? = json["view"], case .string(let id)? = json["id"],
            case .string(let digest)? = json["digest"], let change = try? ChangeID(id),
            let offset = json["offset"].flatMap({ UInt64($0.json) }),
            let generation = json["generation"].flatMap({ Int($0.json) }),
            case .array(let tables)? = json["tables"],
            case .array(let previous)? = json["previous"]
        else { return nil }
        position = SinkPosition(
            view: view, change: change, offset: Offset(offset), digest: digest)
        self.generation = generation
        self.previous = previous.compactMap { if case .string(let name) = $0 { name } else { nil } }
        self.tables = []
        for table in tables {
            guard case .string(let name)? = table["name"], case .string(let file)? = table["file"],
                case .array(let columns)? = table["columns"], !file.contains("/")
            else { return nil }
            var schema = TableSchema(name: name, columns: [])
            for column in columns {
                guard case .string(let name)? = column["name"],
                    case .string(let text)? = column["kind"], let kind = ColumnKind(rawValue: text),
                    case .bool(let isKey)? = column["key"]
                else { return nil }
                schema.columns.append(ColumnSchema(name, kind, isKey: isKey))
            }
            self.tables.append(Table(schema: schema, file: file))
        }
    }
}

/// Writes lines to a new file.
final class CSVWriter {
    private let file: OpenFile
    private let path: String
    private var buffer: [UInt8] = []
    private var position = 0

    init(_ path: String) throws(KappaError) {
        self.path = path
        do {
            file = OpenFile(
                try SystemFiles().open(path, O_WRONLY | O_CREAT | O_TRUNC), path: path)
        } catch {
            throw error.error(creating: "a file", at: path)
        }
    }

    func write(_ line: String) throws(KappaError) {
        buffer.append(contentsOf: line.utf8)
        buffer.append(0x0A)
        if buffer.count >= 1 << 18 { try flush() }
    }

    /// Makes the file durable.
    func finish() throws(KappaError) {
        try flush()
        do { try SystemFiles().sync(file.descriptor) } catch {
            throw error.error("cannot make a file durable", at: path)
        }
    }

    private func flush() throws(KappaError) {
        do { try SystemFiles().write(file.descriptor, buffer, at: position) } catch {
            throw error.error("cannot write a file", at: path)
        }
        position += buffer.count
        buffer.removeAll(keepingCapacity: true)
    }
}

/// Reads the records of a CSV file that ``CSVWriter`` has written.
final class CSVRecords {
    struct Record {
        /// The fields as they are written, in quotes where they have them.
        var fields: [String]
        var line: String { fields.joined(separator: ",") }
    }

    private let input: CSVFile
    private var bytes: [UInt8] = []
    private var place = 0
    private var isAtEnd = false

    init(_ path: String) throws(KappaError) { input = try CSVFile(path) }

    /// The next record; nil after the last.
    func next() throws(KappaError) -> Record? {
        var fields: [String] = []
        var start = place
        var index = place
        var isQuoted = false
        while true {
            if index == bytes.count {
                // Only what has been read of this record stays in memory.
                let from = min(place, bytes.count)
                bytes.removeFirst(from)
                (start, index, place) = (start - from, index - from, 0)
                let more = try input.next()
                if more.isEmpty { return nil }
                bytes += more
                continue
            }
            let byte = bytes[index]
            switch byte {
            case UInt8(ascii: "\""): isQuoted.toggle()
            case UInt8(ascii: ",") where !isQuoted, 0x0A where !isQuoted:
                fields.append(String(decoding: bytes[start..<index], as: UTF8.self))
                start = index + 1
                if byte == 0x0A {
                    place = start
                    return Record(fields: fields)
                }
            default: break
            }
            index += 1
        }
    }
}

/// A file that is read from its beginning.
final class CSVFile {
    private let file: OpenFile
    private let path: String

    init(_ path: String) throws(KappaError) {
        self.path = path
        do { file = OpenFile(try SystemFiles().open(path, O_RDONLY), path: path) } catch {
            throw error.error("cannot open a file", at: path)
        }
    }

    /// The next bytes; none at the end.
    func next() throws(KappaError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 1 << 18)
        let count = Glibc.read(file.descriptor, &bytes, bytes.count)
        if count < 0 { throw IOFailure("read", errno).error("cannot read a file", at: path) }
        return Array(bytes[..<count])
    }

    static func read(_ path: String) throws(KappaError) -> [UInt8] {
        let file = try CSVFile(path)
        var bytes: [UInt8] = []
        while true {
            let more = try file.next()
            if more.isEmpty { return bytes }
            bytes += more
        }
    }
}
