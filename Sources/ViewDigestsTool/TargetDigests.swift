/// The digests of the view files of one target.
///
/// A view file's digest covers its own text and that of all helper files (those that define no view):
/// a changed helper changes all views of the target, a changed view file only its own. The list of
/// views, `ViewSet(…)`, counts for none: it says which views there are, not what they do. Nor do gates,
/// `.promote(when: …)`, which say when a version may become live, and `.indexed()`, which changes no row.
struct TargetDigests {
    /// The digest of each view file by its name, in the order of the names.
    let files: [(name: String, digest: String)]

    /// - Parameter sources: The target's files, in any order.
    init(_ sources: [(name: String, bytes: [UInt8])]) {
        let sources = sources.sorted { $0.name < $1.name }
        let views = sources.filter { SwiftText.definesView($0.bytes) }
        var shared: [UInt8] = []
        for helper in sources where !SwiftText.definesView(helper.bytes) {
            shared += Array(helper.name.utf8) + [0]
            shared += SwiftText.normalised(helper.bytes, forDigest: true) + [0]
        }
        files = views.map { view in
            let text = SwiftText.normalised(view.bytes, forDigest: true)
            return (view.name, String(SHA256.hex(text + [0] + shared).prefix(16)))
        }
    }

    /// A Swift file with the constant `viewDigests`.
    var swiftFile: String {
        var lines = ["import KappaCore", "", "let viewDigests = ViewDigests(["]
        lines += files.map { "    \"\($0.name)\": \"\($0.digest)\"," }
        if files.isEmpty { lines[2] += ":" }
        return (lines + ["])", ""]).joined(separator: "\n")
    }
}
