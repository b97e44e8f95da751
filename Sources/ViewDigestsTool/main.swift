// ViewDigestsTool OUTPUT SOURCE…: writes a Swift file with the digest of each view file.

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
    let sources = arguments.dropFirst().map { path in
        guard let bytes = readFile(path) else { fail("cannot read \(path)") }
        return (name: String(path.split(separator: "/").last ?? ""), bytes: bytes)
    }
    let text = Array(TargetDigests(sources).swiftFile.utf8)
    if readFile(output) == text { return }
    guard let file = fopen(output, "wb") else { fail("cannot write \(output)") }
    let written = fwrite(text, 1, text.count, file)
    if fclose(file) != 0 || written != text.count { fail("cannot write \(output)") }
}

run(Array(CommandLine.arguments.dropFirst()))
