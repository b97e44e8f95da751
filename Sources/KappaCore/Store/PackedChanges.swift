import CZstd

/// Changes as the feed stores them: those of a commit together, compressed, as a row's columns before and after are
/// much alike.
///
/// The first byte says how: 0 for plain, 1 for zstd, after which comes the size of what was compressed. A change is
/// its table, a byte that says which of `before` and `after` there are, its offset as the difference from the one
/// before it, and its texts.
enum PackedChanges {
    private static let plain: UInt8 = 0
    private static let zstd: UInt8 = 1
    /// Less than this is not worth compressing.
    private static let leastBytes = 200
    private static let level: Int32 = 3
    /// More than any commit has, so that a damaged size takes no memory.
    private static let mostBytes: UInt64 = 1 << 32

    /// Packs changes one by one.
    struct Packer {
        private var state = StateWriter()
        private var last: UInt64 = 0
        private(set) var count = 0

        var bytes: Int { state.bytes.count }

        mutating func add(_ change: ChangeRecord) {
            state.write(short: UInt64(change.table))
            let parts: UInt8 = (change.before == nil ? 0 : 1) + (change.after == nil ? 0 : 2)
            state.write(parts)
            // The changes of one commit have the same offset.
            state.write(short: change.offset.rawValue &- last)
            last = change.offset.rawValue
            for text in [change.key, change.before, change.after] {
                guard var text else { continue }
                text.withUTF8 { state.write(text: UnsafeRawBufferPointer($0)) }
            }
            count += 1
        }

        /// All changes so far; the next one begins anew.
        mutating func finish() -> [UInt8] {
            let packed = PackedChanges.compressed(state.bytes)
            state.removeAll()
            (last, count) = (0, 0)
            return packed
        }
    }

    private static func compressed(_ bytes: [UInt8]) -> [UInt8] {
        if bytes.count >= leastBytes {
            var header = StateWriter()
            header.write(zstd)
            header.write(short: UInt64(bytes.count))
            var packed = [UInt8](repeating: 0, count: ZSTD_compressBound(bytes.count))
            let size = packed.withUnsafeMutableBytes { target in
                bytes.withUnsafeBytes {
                    ZSTD_compress(target.baseAddress, target.count, $0.baseAddress, $0.count, level)
                }
            }
            if ZSTD_isError(size) == 0, size < bytes.count {
                return header.bytes + packed[0..<size]
            }
        }
        return [plain] + bytes
    }

    /// - Throws: `.damaged`
    static func unpacked(_ blob: UnsafeRawBufferPointer) throws(KappaError) -> [ChangeRecord] {
        guard let codec = blob.first else { throw StateReader.damage("changes are missing") }
        var rest = UnsafeRawBufferPointer(rebasing: blob.dropFirst())
        if codec == plain { return try changes(rest) }
        guard codec == zstd else { throw StateReader.damage("changes have format \(codec)") }
        var size: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 35, by: 7) {
            guard let byte = rest.first else { throw StateReader.damage("changes have no size") }
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst())
            size |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { break }
        }
        guard size < mostBytes, ZSTD_getFrameContentSize(rest.baseAddress, rest.count) == size
        else { throw StateReader.damage("changes have another size") }
        var bytes = [UInt8](repeating: 0, count: Int(size))
        let count = bytes.withUnsafeMutableBytes { target in
            ZSTD_decompress(target.baseAddress, target.count, rest.baseAddress, rest.count)
        }
        guard ZSTD_isError(count) == 0, UInt64(count) == size else {
            throw StateReader.damage("changes cannot be decompressed")
        }
        var found: [ChangeRecord] = []
        try bytes.reading { (reader) throws(KappaError) in found = try changes(&reader) }
        return found
    }

    private static func changes(_ bytes: UnsafeRawBufferPointer) throws(KappaError)
        -> [ChangeRecord]
    {
        var reader = StateReader(bytes)
        return try changes(&reader)
    }

    private static func changes(_ reader: inout StateReader) throws(KappaError) -> [ChangeRecord] {
        var changes: [ChangeRecord] = []
        var offset: UInt64 = 0
        while !reader.isAtEnd {
            let table = Int(try reader.readShort() & 0xFFFF)
            let parts = try reader.readByte()
            offset &+= try reader.readShort()
            let key = try text(&reader)
            let before = parts & 1 == 0 ? nil : try text(&reader)
            let after = parts & 2 == 0 ? nil : try text(&reader)
            changes.append(
                ChangeRecord(
                    offset: Offset(offset), table: table, key: key, before: before, after: after))
        }
        return changes
    }

    private static func text(_ reader: inout StateReader) throws(KappaError) -> String {
        String(decoding: try reader.readBytes(), as: UTF8.self)
    }
}
