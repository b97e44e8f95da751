import Glibc
import KappaTesting
import Testing

@testable import KappaCore

@Suite("The name of an open file") struct FileIdentityTests {
    @Test("is lost when it is removed, moved or replaced, and not while nobody can say")
    func losses() throws {
        let folder = try TemporaryFolder()
        let (inner, moved) = (folder.path + "/inner", folder.path + "/moved")
        let path = inner + "/file"
        try Folder.make(inner)
        try CommandSweep.write("a", to: path)
        let file = try OpenFile(reading: path)
        #expect(file.nameLoss == nil)

        #expect(rename(path, inner + "/other") == 0)
        #expect(file.nameLoss == "somebody has removed or moved it")
        try CommandSweep.write("a", to: path)
        #expect(file.nameLoss == "another file has its name")
        #expect(rename(inner + "/other", path) == 0)
        #expect(file.nameLoss == nil)

        #expect(rename(inner, moved) == 0)
        #expect(file.nameLoss == "somebody has removed or moved it")
        // A link that leads to itself: the folder cannot be searched, as with a failure of the disk.
        #expect(symlink(inner, inner) == 0)
        #expect(file.nameLoss == nil)
        // A file in the folder's place.
        #expect(unlink(inner) == 0)
        try CommandSweep.write("a", to: inner)
        #expect(file.nameLoss == "somebody has removed or moved it")
    }
}
