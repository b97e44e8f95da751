import Foundation
import Testing

@testable import KappaCore

/// kappa removes only files that it can prove it made.
@Suite("Removing leftovers")
struct RemovalTests {
    private let folder: VersionsFolder
    private let foreign: String
    private let files = FileManager.default

    init() throws {
        folder = try VersionsFolder()
        try folder.append(ticks: 10)
        foreign = folder.data.path + "-foreign"
        try files.createDirectory(atPath: foreign + "/inner", withIntermediateDirectories: true)
        for name in ["a", ".hidden", "inner/b", DataFolder.scratchMark] {
            _ = files.createFile(atPath: "\(foreign)/\(name)", contents: Data("kept".utf8))
        }
    }

    private func isWhole(_ path: String) -> Bool {
        ["a", ".hidden", "inner/b"].allSatisfy { files.fileExists(atPath: "\(path)/\($0)") }
    }

    @Test("a link with the name of a scratch folder is not followed")
    func links() throws {
        defer { try? files.removeItem(atPath: foreign) }
        let link = folder.data.path + "/scratch-x"
        try files.createSymbolicLink(atPath: link, withDestinationPath: foreign)
        _ = try folder.catalog()
        #expect(isWhole(foreign))
        Folder.remove(link)
        #expect(isWhole(foreign))
    }

    @Test("a link inside a removed folder is removed, and its target stays")
    func innerLinks() throws {
        defer { try? files.removeItem(atPath: foreign) }
        let scratch = folder.data.path + "/scratch-abcdef"
        try files.createDirectory(atPath: scratch + "/deep", withIntermediateDirectories: true)
        for name in ["link", "deep/link"] {
            try files.createSymbolicLink(
                atPath: "\(scratch)/\(name)", withDestinationPath: foreign)
        }
        for name in [DataFolder.scratchMark, ".hidden", "deep/file"] {
            _ = files.createFile(atPath: "\(scratch)/\(name)", contents: Data())
        }
        _ = try folder.catalog()
        #expect(!files.fileExists(atPath: scratch))
        #expect(isWhole(foreign))
    }

    @Test("a person's own folder stays, whatever its name")
    func ownFolder() throws {
        defer { try? files.removeItem(atPath: foreign) }
        let notes = folder.data.path + "/scratch-notes"
        try files.createDirectory(atPath: notes, withIntermediateDirectories: true)
        _ = files.createFile(atPath: notes + "/a", contents: Data("kept".utf8))
        _ = try folder.catalog()
        #expect(files.fileExists(atPath: notes + "/a"))
    }

    @Test("runs spilled beside a version are not searched through a link")
    func runs() throws {
        defer { try? files.removeItem(atPath: foreign) }
        try folder.catchUp([tally("a")])
        let id = VersionID("tally", VersionNumber(1))
        let link = SpilledRuns.path(folder.data.file(id))
        try files.createSymbolicLink(atPath: link, withDestinationPath: foreign)
        SpilledRuns.remove(folder.data.file(id))
        #expect(isWhole(foreign))
    }
}
