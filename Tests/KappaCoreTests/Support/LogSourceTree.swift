import Foundation

/// The package's own sources, for tests that check the house rules.
enum SourceTree {
    static let package: URL = {
        var url = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { url.deleteLastPathComponent() }
        return url
    }()

    struct File {
        /// Relative to the package's folder.
        var path: String
        var text: String
        var name: String { (path as NSString).lastPathComponent }

        /// The text without comments and string literals.
        var code: String {
            text
                .replacing(#/"""[\s\S]*?"""/#, with: "")
                .replacing(#/"(?:\\.|[^"\\\n])*"/#, with: "")
                .replacing(#/\/\/.*/#, with: "")
        }
    }

    static func file(_ path: String) throws -> File {
        let url = package.appendingPathComponent(path)
        return File(path: path, text: try String(contentsOf: url, encoding: .utf8))
    }

    /// All files below a folder with one of these extensions.
    static func files(_ folder: String, _ extensions: Set<String> = ["swift"]) throws -> [File] {
        let root = package.appendingPathComponent(folder)
        guard let names = FileManager.default.enumerator(atPath: root.path) else { return [] }
        return try names.compactMap { $0 as? String }.sorted()
            .filter {
                extensions.contains(($0 as NSString).pathExtension) && !$0.contains(".build/")
            }
            .map { try file("\(folder)/\($0)") }
    }
}
