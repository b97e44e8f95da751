/// The key index of a version, prepared for the events of one key.
struct KeyIndexSource {
    private let reader: VersionReader
    private let place: KeyPlace
    private let hashes: [UInt32]

    /// Why an index is not used. The reason is shown after "the log is read: ".
    struct Unused: Error {
        var reason: String
    }

    /// - Parameters:
    ///   - id: The version of the definition; nil if there is none.
    ///   - end: The offset up to which events are needed.
    /// - Throws: ``Unused`` if the log must be read instead.
    init(
        _ definition: ViewDefinition, _ id: VersionID?, _ question: KeyTrace.Question,
        to end: Offset, in folder: DataFolder
    ) throws {
        place = try KeyPlace(of: question.table, in: definition)
        let name = place.schema.name
        guard let id, folder.hasFile(id) else {
            throw Unused(reason: "the definition of this build has no version yet")
        }
        reader = try folder.reader(id)
        // One snapshot, so that the index does not change while events are read.
        try reader.hold()
        guard let indexed = try reader.keyIndexEnd(ofTable: place.table) else {
            throw Unused(
                reason: definition.tables.contains(.keyIndex(of: place.table))
                    ? "\(id) was begun without an index; `kappa rebuild \(id.view)` makes a version "
                        + "that has one"
                    : "rows of table \(name) may depend on events of other keys, so there is no "
                        + "index of it")
        }
        guard end <= indexed else {
            throw Unused(
                reason: indexed < (try reader.checkpoint().offset)
                    ? "a program without the index has advanced \(id) from offset \(indexed); "
                        + "`kappa rebuild \(id.view)` makes a version whose index is whole"
                    : "the index of \(id) ends at offset \(indexed), as its rows do")
        }
        let times = try reader.checkpoint().streamTimes
        if times.partitions.count > 1,
            case .aggregation(let step) = definition.steps[place.step].kind,
            step.judgesLateness
        {
            throw Unused(
                reason: "the log has time partitions, and the index has the times of one only")
        }
        let key = try place.schema.key(question.key).compactMap { KeyPart($0) }
        guard let hashes = place.hashes(key) else {
            throw Unused(reason: "a window of table \(name) has too many panes for its index")
        }
        self.hashes = hashes
    }

    /// Begins with the first event.
    func cursor() throws(KappaError) -> KeyIndexCursor {
        try KeyIndexCursor(reader, place, hashes: hashes)
    }
}
