import KappaCore

extension ParsedArguments {
    /// Checks that the views among the arguments exist, in this build or in the data folder, so that a
    /// misspelt name is not reported as a view that has not been built yet.
    /// - Throws: `.notFound` for an unknown view, `.usage` for a version of a view where the command takes
    ///   only a view.
    func checkViews(_ context: Context) throws {
        guard let last = spec.arguments.last else { return }
        let defined = context.views.names
        for (index, text) in positional.enumerated() {
            let argument = index < spec.arguments.count ? spec.arguments[index] : last
            guard argument.isView else { continue }
            let reference = try VersionReference(text)
            if reference.number != nil, !argument.takesVersion {
                throw KappaError(
                    .usage, "kappa \(spec.name) does not take one version, as \(text) is",
                    because: "it is about all versions of a view",
                    advice: "Write \(reference.view)")
            }
            if defined.contains(reference.view) { continue }
            try context.data.require()
            let built = try Catalog(context.data).entries().map(\.id.view)
            if built.contains(reference.view) { continue }
            throw Self.unknown(reference.view, among: defined + built, context.data.path)
        }
    }

    private static func unknown(
        _ name: String, among names: [String], _ folder: String
    ) -> KappaError {
        var known: [String] = []
        for name in names where !known.contains(name) { known.append(name) }
        let others =
            known.isEmpty
            ? "this build defines no views" : "there are \(known.joined(separator: ", "))"
        return KappaError(
            .notFound, "there is no view \(name)", at: "this build and \(folder)",
            because: Spelling.nearest(name, among: known).map { "did you mean \($0)?" } ?? others,
            advice: "`kappa views` lists the views of this build, `kappa status` what was built")
    }
}
