import CKappaJSON

/// One part of a row's key, as stores and columns hold it.
enum KeyPart: Equatable {
    case integer(Int64)
    case text([UInt8])

    /// Nil for a value that cannot be part of a key.
    init?(_ value: Value) {
        switch value {
        case .bool(let bool): self = .integer(bool ? 1 : 0)
        case .integer(let integer): self = .integer(integer)
        case .timestamp(let time): self = .integer(time.microseconds)
        case .text(let text), .json(let text): self = .text(Array(text.utf8))
        case .null, .double, .decimal: return nil
        }
    }
}

extension [KeyPart] {
    /// Whether a row of columns has this key.
    @inline(__always)
    func matches(_ columns: [kj_column], _ row: Int) -> Bool {
        for index in indices {
            switch self[index] {
            case .integer(let integer):
                if columns[index].integers[row] != integer { return false }
            case .text(let bytes):
                let text = columns[index].strings[row]
                if Int(text.length) != bytes.count { return false }
                if !text.buffer.elementsEqual(bytes) { return false }
            }
        }
        return true
    }
}
