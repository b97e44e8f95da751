import PackagePlugin

/// Computes digests of the files of a target that defines views, so that a changed definition becomes a new
/// version.
///
/// It writes one Swift file, `ViewDigests.generated.swift`, with a constant `viewDigests`.
@main
struct ViewDigests: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
        guard let target = target.sourceModule else { return [] }
        let sources = target.sourceFiles(withSuffix: "swift").map(\.url)
        let output = context.pluginWorkDirectoryURL.appending(
            path: "ViewDigests.generated.swift")
        return [
            .buildCommand(
                displayName: "Digesting the views of \(target.name)",
                executable: try context.tool(named: "ViewDigestsTool").url,
                arguments: [output.path()] + sources.map { $0.path() },
                inputFiles: sources,
                outputFiles: [output])
        ]
    }
}
