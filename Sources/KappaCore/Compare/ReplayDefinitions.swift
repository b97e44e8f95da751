/// Finds the definitions in this build with which versions can be replayed.
package struct ReplayDefinitions {
    private let catalog: Catalog
    private let definitions: [ViewDefinition]

    /// - Parameter definitions: ``ViewSet/comparable()``: this build's current definitions come first.
    package init(_ catalog: Catalog, _ definitions: [ViewDefinition]) {
        self.catalog = catalog
        self.definitions = definitions
    }

    /// What a person means by a reference: a version, or this build's definition if the view has no version.
    package func target(_ reference: VersionReference) throws(KappaError) -> CompareTarget {
        let isDefined = definitions.contains { $0.name == reference.view }
        if reference.number == nil, isDefined, try catalog.entries(of: reference.view).isEmpty {
            return .definition(reference.view)
        }
        return .version(try catalog.resolve(reference).id)
    }

    /// The definition to replay with.
    /// - Throws: `.notFound` for a version whose definition this build does not have.
    package func definition(of target: CompareTarget) throws(KappaError) -> ViewDefinition {
        guard case .version(let id) = target else {
            guard let found = definitions.first(where: { $0.name == target.view }) else {
                throw KappaError.noSuchView(target.view, among: definitions.map(\.name))
            }
            return found
        }
        let digest = try catalog.entries(of: id.view).first { $0.id == id }?.digest ?? ""
        guard
            let found = definitions.first(where: { $0.name == id.view && $0.digest == digest })
        else {
            throw KappaError(
                .notFound, "\(id) cannot be replayed", at: "\(id), digest \(digest)",
                because: "its definition is not in this build",
                advice: MissingDefinition.advice(id, catalog.folder)
                    + "; to compare with another version, name that build's program with --with")
        }
        return found
    }

    /// The position of the version that is furthest; the log's end if there is none.
    package func end(of targets: [CompareTarget]) throws -> Offset {
        var end: Offset?
        for target in targets {
            guard case .version(let id) = target, catalog.folder.hasFile(id) else { continue }
            let own = try catalog.folder.reader(id).checkpoint().offset
            end = max(end ?? own, own)
        }
        return try end ?? LogReader(catalog.folder.log).durableEnd()
    }
}
