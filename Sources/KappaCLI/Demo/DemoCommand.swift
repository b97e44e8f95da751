import Glibc
import KappaCore

/// `kappa demo`: shows the whole story in under a minute.
struct DemoCommand: Command {
    static let spec = CommandSpec(
        name: "demo", summary: "the whole story in under a minute, in a temporary folder",
        options: [
            OptionSpec(
                name: "--events", value: "N", summary: "how many events to begin with",
                defaultValue: "2000000"),
            OptionSpec(name: "--keep", summary: "keeps the folder"),
        ],
        make: {
            DemoCommand(
                events: try $0.integer("--events", least: 1, most: 1_000_000_000) ?? 2_000_000,
                keeps: $0.has("--keep"))
        })

    let events: Int
    let keeps: Bool

    func run(_ context: Context) throws -> Int32 {
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        let folder = try Folder.makeTemporary(in: parent, prefix: "kappa-demo")
        defer { if !keeps { Folder.remove(folder) } }
        let story = DemoStory(DataFolder(folder), events: events)
        try story.tell()
        if keeps { story.say("\nThe folder is kept: \(folder)") }
        return 0
    }
}
