/// Goes over the headers of a log's blocks without reading their payloads.
enum BlockWalk {
    struct Block {
        var segment: Offset
        var position: Int
        var header: BlockHeader
        var runs: [IngestionRun]
    }

    /// Visits the blocks that hold offset `start` or stand behind it, up to the durable end.
    static func headers(
        _ folder: String, from start: Offset, _ visit: (Block) -> Void
    ) throws(KappaError) {
        let headFile = try OpenFile(reading: LogHead.path(folder))
        guard let head = try LogHead.read(headFile) else { return }
        let segments = try SegmentFiles.list(folder)
        for (index, first) in segments.enumerated() {
            if index + 1 < segments.count, segments[index + 1] <= start { continue }
            if first > head.segment { continue }
            let file = try OpenFile(reading: SegmentFiles.path(folder, first))
            let limit = first == head.segment ? head.segmentBytes : file.size
            try walk(file, first, limit) { block in
                if block.header.nextOffset > start { visit(block) }
            }
        }
    }

    private static func walk(
        _ file: OpenFile, _ segment: Offset, _ limit: Int, _ visit: (Block) -> Void
    ) throws(KappaError) {
        let window = ReadWindow()
        var position = 0
        while position < limit {
            let fixed = try window.bytes(of: file, at: position, count: BlockHeader.size, limit)
            guard let header = BlockHeader(fixed) else {
                throw damage(file, position)
            }
            let size = BlockHeader.size + header.runsSize
            let whole = try window.bytes(of: file, at: position, count: size, limit)
            guard whole.count == size, BlockHeader.isSound(whole),
                let runs = IngestionRun.decode(
                    UnsafeRawBufferPointer(rebasing: whole[BlockHeader.size...]))
            else { throw damage(file, position) }
            visit(Block(segment: segment, position: position, header: header, runs: runs))
            position += header.blockSize
        }
    }

    private static func damage(_ file: OpenFile, _ position: Int) -> KappaError {
        KappaError(
            .damaged, "the log is damaged", at: "\(file.path), byte \(position)",
            because: "a block's header cannot be read",
            advice: "Restore the file from a copy; `kappa log verify` shows how far it is sound")
    }
}
