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
        guard let head = try LogHead.read(headFile) else {
            throw KappaError(
                .damaged, "the log's end is not known", at: headFile.path,
                because: "the file was overwritten while the log was open",
                advice: "Start again: the log recovers when it is opened")
        }
        let segments = try SegmentFiles.list(folder)
        var next = segments.last { $0 <= start } ?? .zero
        while next < head.nextOffset {
            // A segment begins where the one before it ends.
            let segment = next
            let file = try OpenFile(reading: SegmentFiles.path(folder, segment))
            let limit = segment == head.segment ? head.segmentBytes : file.size
            next = try walk(file, segment, limit) { block in
                if block.header.nextOffset > start { visit(block) }
            }
            guard next > segment, segment != head.segment || next == head.nextOffset else {
                throw damage(file, limit, "it ends early, at offset \(next)")
            }
        }
    }

    /// Returns the offset after the segment's last event.
    private static func walk(
        _ file: OpenFile, _ segment: Offset, _ limit: Int, _ visit: (Block) -> Void
    ) throws(KappaError) -> Offset {
        let window = ReadWindow()
        var position = 0
        var next = segment
        while position < limit {
            let fixed = try window.bytes(of: file, at: position, count: BlockHeader.size, limit)
            guard let header = BlockHeader(fixed), position + header.blockSize <= limit else {
                throw damage(file, position, "a block's header cannot be read")
            }
            let size = BlockHeader.size + header.runsSize
            let whole = try window.bytes(of: file, at: position, count: size, limit)
            guard whole.count == size, BlockHeader.isSound(whole),
                header.firstOffset == next, header.events > 0,
                let runs = IngestionRun.decode(
                    UnsafeRawBufferPointer(rebasing: whole[BlockHeader.size...]))
            else { throw damage(file, position, "a block's header cannot be read") }
            visit(Block(segment: segment, position: position, header: header, runs: runs))
            position += header.blockSize
            next = header.nextOffset
        }
        return next
    }

    private static func damage(
        _ file: OpenFile, _ position: Int, _ reason: String
    ) -> KappaError {
        KappaError(
            .damaged, "the log is damaged", at: "\(file.path), byte \(position)",
            because: reason,
            advice: "Restore the file from a copy; `kappa log verify` shows how far it is sound")
    }
}
