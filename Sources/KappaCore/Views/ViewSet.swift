/// The views of one build, with the digests of their definitions.
///
/// ```swift
/// public let views = ViewSet([actionCounts, userTotals], digests: viewDigests)
/// ```
/// The build plugin `ViewDigests` generates `viewDigests`.
public struct ViewSet: Sendable {
    let views: [any AnyView]
    /// Definitions that are no longer built, kept to compare the versions that they made.
    let earlier: [any AnyView]
    package let digests: ViewDigests?

    /// A set of views.
    /// - Parameters:
    ///   - views: The views; their names must differ.
    ///   - digests: The `viewDigests` that the build plugin generates. Without them, a definition is
    ///     identified by its shape only, and a fold needs a digest of its own.
    ///   - earlier: Earlier definitions of some of the views. They are never built, but this build can
    ///     replay the versions that they made, to compare them. Each names the digest of its version, as
    ///     `kappa status --format json` shows it, after an equals sign: `View("orders", digest: "=3f…")`.
    public init(
        _ views: [any AnyView], digests: ViewDigests? = nil, earlier: [any AnyView] = []
    ) {
        self.views = views
        self.digests = digests
        self.earlier = earlier
    }

    /// No views: for a program that only appends and reads.
    public static let empty = ViewSet([])

    /// The names of this build's views, including those that cannot be worked out.
    package var names: [String] { views.map(\.name) }

    /// Works out every view, and returns those that are sound and those that are invalid.
    /// - Parameters:
    ///   - allowUndigested: Whether a view may lack a digest, as in tests, where there are no versions.
    ///   - marksFolder: Where a file notes which view's types are being tried. For a process that does not
    ///     restart itself after a crash: its next start leaves that view out, wherever it works views out.
    package func workedOut(
        allowUndigested: Bool = false, marksFolder: String? = nil
    ) -> WorkedOutViews {
        var result = WorkedOutViews()
        for view in views {
            do throws(KappaError) {
                if views.count(where: { $0.name == view.name }) > 1 {
                    throw KappaError(
                        .usage, "two views are named \(view.name)", at: view.file,
                        because: "a view is found by its name", advice: "Rename one of them")
                }
                result.sound.append(
                    try ViewDefinition(
                        trying: view, digests: digests, allowUndigested: allowUndigested,
                        marksFolder: marksFolder))
            } catch {
                if result.error(of: view.name) == nil {
                    result.invalid.append(InvalidView(name: view.name, error: error))
                }
            }
        }
        return result
    }

    /// Works out every view.
    /// - Throws: The error of the first view that cannot be worked out.
    package func definitions(
        allowUndigested: Bool = false
    ) throws(KappaError) -> [ViewDefinition] {
        let all = workedOut(allowUndigested: allowUndigested)
        if let first = all.invalid.first { throw first.error }
        return all.sound
    }

    /// The views that can be worked out.
    package var sound: [ViewDefinition] { workedOut().sound }

    /// All definitions with which versions can be replayed: first those of this build, then the earlier
    /// ones, of which a view may have several.
    package func comparable() -> [ViewDefinition] {
        sound
            + earlier.compactMap { view in
                try? ViewDefinition(
                    trying: view, digests: digests, allowUndigested: false, isEarlier: true)
            }
    }

    /// Why earlier definitions cannot be used.
    package func invalidEarlier() -> [InvalidView] {
        earlier.compactMap { view in
            do throws(KappaError) {
                _ = try ViewDefinition(
                    trying: view, digests: digests, allowUndigested: false, isEarlier: true)
                return nil
            } catch { return InvalidView(name: view.name, error: error) }
        }
    }
}

/// A view that cannot be worked out. Only this view fails: the others are still built, and its existing
/// versions can still be read.
package struct InvalidView: Sendable {
    package let name: String
    package let error: KappaError
}

/// The views of a build: those that can be worked out and those that cannot.
package struct WorkedOutViews: Sendable {
    package var sound: [ViewDefinition] = []
    package var invalid: [InvalidView] = []

    var names: [String] { sound.map(\.name) + invalid.map(\.name) }

    /// Why a view cannot be worked out; nil if it can, or if no view has that name.
    package func error(of name: String) -> KappaError? {
        invalid.first { $0.name == name }?.error
    }

    /// The definition of a view.
    /// - Throws: The reason why it cannot be worked out; `.notFound` if no view has that name.
    package func definition(of name: String) throws(KappaError) -> ViewDefinition {
        if let found = sound.first(where: { $0.name == name }) { return found }
        throw error(of: name)
            ?? KappaError.noSuchView(name, among: names)
    }
}

/// Digests of view files, generated by the build plugin `ViewDigests`.
public struct ViewDigests: Sendable {
    private let byFile: [String: String]

    /// Digests keyed by file name, such as `Orders.swift`.
    public init(_ byFile: [String: String]) { self.byFile = byFile }

    /// The digest of a source file, found by the last part of its path or `#fileID`.
    public subscript(file file: String) -> String? {
        byFile[String(file.split(separator: "/").last ?? "")]
    }
}
