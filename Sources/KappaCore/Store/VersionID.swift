/// The number of a version of a view; numbers count up from 1 and are never reused.
public struct VersionNumber: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number itself.
    public var rawValue: Int

    /// The version of that number.
    public init(_ rawValue: Int) { self.rawValue = rawValue }

    /// Whether `a` was made before `b`.
    public static func < (a: VersionNumber, b: VersionNumber) -> Bool { a.rawValue < b.rawValue }
    /// The number alone, such as `3`.
    public var description: String { String(rawValue) }
}

/// One version of a view, written `orders@3`.
public struct VersionID: Hashable, Sendable, CustomStringConvertible {
    /// The name of the view.
    public var view: String
    /// Which of its versions.
    public var number: VersionNumber

    /// The version of a view with that number.
    public init(_ view: String, _ number: VersionNumber) {
        self.view = view
        self.number = number
    }

    /// As people write it: `orders@3`.
    public var description: String { "\(view)@\(number)" }
}

/// A view, or one version of it, as a person names it: `orders` or `orders@3`.
public struct VersionReference: Hashable, Sendable, CustomStringConvertible {
    public var view: String
    public var number: VersionNumber?

    public init(_ view: String, _ number: VersionNumber?) {
        self.view = view
        self.number = number
    }

    /// Parses `VIEW` or `VIEW@N`.
    public init(_ text: String) throws(KappaError) {
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        view = String(parts[0])
        number = nil
        guard !view.isEmpty else {
            throw KappaError(
                .usage, "\"\(text)\" names no view", because: "the name is empty",
                advice: "Write a view's name, such as orders, or one version: orders@1")
        }
        guard parts.count == 2 else { return }
        guard let value = Int(parts[1]), value > 0 else {
            throw KappaError(
                .usage, "\"\(text)\" names no version", because: "a number must follow the @",
                advice: "Write \(parts[0])@1, or \(parts[0]) for the live version")
        }
        number = VersionNumber(value)
    }

    public var description: String { number.map { "\(view)@\($0)" } ?? view }
}

/// What a version is doing.
public enum VersionState: String, Sendable {
    /// Replaying the log from offset zero.
    case building
    /// Has reached the log's end once and follows it.
    case catchingUp = "catching-up"
    /// Could be promoted.
    case ready
    /// What readers see.
    case live
    /// Was live, or was passed over.
    case retired
    /// Stopped by something that may pass, such as a full disk.
    case paused
    /// Stopped by something that will not pass without a change.
    case failed
}
