/// The place of a change in the changes of a view, written `3:1733000000000042`: the version, and a number in
/// its change feed.
///
/// It stays valid across restarts, and no other change of the data folder ever gets the same one, even if its
/// versions are deleted and built again. Numbers grow, with gaps, and stay below 2^53.
public struct ChangeID: Hashable, Sendable, CustomStringConvertible {
    /// The version whose feed has the change.
    public var version: VersionNumber
    /// The number of the change in that feed.
    public var sequence: Int64

    /// The change of that number in the feed of a version.
    public init(_ version: VersionNumber, _ sequence: Int64) {
        self.version = version
        self.sequence = sequence
    }

    /// Parses what ``description`` gives.
    /// - Throws: ``KappaError``, `.usage`, if the text is not a version's number, a colon and a number.
    public init(_ text: String) throws(KappaError) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(Self.number)
        guard parts.count == 2, let version = parts[0], version > 0, let sequence = parts[1],
            let number = Int(exactly: version)
        else {
            throw KappaError(
                .usage, "\"\(text)\" is not the id of a change",
                because: "an id is a version's number, a colon and a number, such as 3:1042",
                advice: "Copy the `id` of a change that `kappa tail` has printed")
        }
        self.init(VersionNumber(number), sequence)
    }

    /// Only digits: `Int64` would also take a sign.
    private static func number(_ text: Substring) -> Int64? {
        text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            ? Int64(text) : nil
    }

    /// As it is printed: `3:1733000000000042`.
    public var description: String { "\(version):\(sequence)" }
}
