/// Digests of view files, made by the build plugin `ViewDigests`.
public struct ViewDigests: Sendable {
    private let byFile: [String: String]

    /// Digests by the names of their files, such as `Orders.swift`.
    public init(_ byFile: [String: String]) { self.byFile = byFile }

    /// The digest of a source file, found by the last part of its path or `#fileID`.
    public subscript(file file: String) -> String? {
        byFile[String(file.split(separator: "/").last ?? "")]
    }
}
