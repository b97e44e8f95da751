/// Something outside that kappa exchanges events or rows with: it makes sources, or sinks, of URLs that begin
/// with its scheme.
///
/// A program has the connectors that are handed to `Kappa.main(views:connectors:)`, so whoever embeds kappa
/// links only what they name.
public protocol Connector: Sendable {
    /// What its URLs begin with, before the colon: small letters, digits, `+`, `-` and `.`, such as `kafka`.
    var scheme: String { get }
    /// How its URLs are written, for people: `kafka://BROKER/TOPIC`.
    var usage: String { get }
}

/// A connector whose URLs can be pulled from.
public protocol SourceConnector: Connector {
    /// Makes a source. Nothing is read before it is opened.
    /// - Parameters:
    ///   - url: The whole URL, with its scheme.
    ///   - name: What `--source` says: the name of the source's only partition, or what the names of its
    ///     partitions begin with. Nil if the connector chooses the name.
    /// - Throws: `KappaError` with `.usage` for a URL that it cannot understand.
    func source(_ url: String, named name: String?) throws(KappaError) -> any EventSource
}
