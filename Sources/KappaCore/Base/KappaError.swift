/// What went wrong, where, why, and what to do next.
///
/// Every error that kappa raises is one of these, so that a person reads the same four answers
/// everywhere and a program can switch on ``Code-swift.enum``.
public struct KappaError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The kind of failure. Each one maps to one exit code of the `kappa` program (sysexits).
    public enum Code: String, Sendable {
        /// The call or the command line is wrong (64).
        case usage
        /// The input data is invalid (65).
        case badInput
        /// There is no such file, view, version or offset (66).
        case notFound
        /// A service is unreachable (69).
        case unreachable
        /// A broken invariant inside kappa (70).
        case bug
        /// A file or folder cannot be created (73).
        case cannotCreate
        /// Reading or writing failed (74).
        case inputOutput
        /// Stored bytes are not the bytes that were written (74).
        case damaged
        /// Another process holds what is needed; try again (75).
        case heldElsewhere
        /// The system does not let this user do that (77).
        case notPermitted
        /// A check did not pass (1).
        case refused
    }

    /// The kind of failure, for programs to switch on.
    public var code: Code
    /// What failed, as one sentence without a final full stop.
    public var what: String
    /// Where: a file, a byte, an offset, a `view@version`.
    public var place: String?
    /// Why it failed.
    public var reason: String?
    /// What to do next.
    public var advice: String?

    /// The event that caused it. A caller that knows the version names both in ``place``.
    package var event: Offset?

    /// Creates an error; leave out the answers that do not apply.
    /// - Parameters:
    ///   - what: What failed, as one sentence without a final full stop.
    ///   - place: A file with its byte, an offset, a `view@version`.
    ///   - reason: Why it failed.
    ///   - advice: What to do next, as a whole sentence.
    public init(
        _ code: Code, _ what: String, at place: String? = nil, because reason: String? = nil,
        advice: String? = nil
    ) {
        self.code = code
        self.what = what
        self.place = place
        self.reason = reason
        self.advice = advice
    }

    /// What failed, then where, why and what to do next, each on a line of its own.
    public var description: String {
        // The texts may quote data: indented, a line of it cannot look like one of the answers.
        func indented(_ text: String) -> String { text.replacing("\n", with: "\n         ") }
        var text = indented(what)
        if let place { text += "\n  where: \(indented(place))" }
        if let reason { text += "\n  why:   \(indented(reason))" }
        if let advice { text += "\n  next:  \(indented(advice))" }
        return text
    }
}
