// ViewDigestsTool OUTPUT SOURCE…: writes a Swift file with the digest of each view file.
//
// A view file's digest covers its own text and that of all helper files (those that define no view):
// a changed helper changes all views of the target, a changed view file only its own.

import Glibc

func readFile(_ path: String) -> [UInt8]? {
    guard let file = fopen(path, "rb") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = fread(&chunk, 1, chunk.count, file)
        if count == 0 { return bytes }
        bytes += chunk[0..<count]
    }
}

func fail(_ message: String) -> Never {
    let line = "ViewDigestsTool: \(message)\n"
    _ = write(2, line, line.utf8.count)
    exit(1)
}

func run(_ arguments: [String]) {
    guard let output = arguments.first else { fail("name the file to write, then the sources") }
    var views: [(name: String, text: [UInt8])] = []
    var helpers: [(name: String, text: [UInt8])] = []
    for path in arguments.dropFirst() {
        guard let bytes = readFile(path) else { fail("cannot read \(path)") }
        let name = String(path.split(separator: "/").last ?? "")
        let text = SwiftText.normalised(bytes)
        if SwiftText.definesView(bytes) {
            views.append((name, text))
        } else {
            helpers.append((name, text))
        }
    }
    // A list of views is no helper: it says which views there are, not what they do.
    let listing = Array("ViewSet(".utf8)
    helpers.removeAll { helper in
        helper.text.indices.contains { helper.text[$0...].starts(with: listing) }
    }
    var shared: [UInt8] = []
    for helper in helpers.sorted(by: { $0.name < $1.name }) {
        shared += Array(helper.name.utf8) + [0] + helper.text
    }
    var lines = ["import KappaCore", "", "let viewDigests = ViewDigests(["]
    for view in views.sorted(by: { $0.name < $1.name }) {
        let digest = SHA256.hex(view.text + [0] + shared).prefix(16)
        lines.append("    \"\(view.name)\": \"\(digest)\",")
    }
    if views.isEmpty { lines[2] += ":" }
    lines.append("])")
    let text = Array((lines.joined(separator: "\n") + "\n").utf8)
    if readFile(output) == text { return }
    guard let file = fopen(output, "wb") else { fail("cannot write \(output)") }
    let written = fwrite(text, 1, text.count, file)
    if fclose(file) != 0 || written != text.count { fail("cannot write \(output)") }
}

run(Array(CommandLine.arguments.dropFirst()))
