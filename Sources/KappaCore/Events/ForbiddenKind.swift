import Synchronization

/// Types of Foundation that decode themselves from something else than what events have. They are known by
/// their names: of Foundation, KappaCore imports `Date` and `Decimal` alone, and in one file.
enum ForbiddenKind {
    private static let instead = [
        "Date": "is a Date, which decodes from seconds since 2001: declare it Timestamp, or "
            + "`@Seconds var … : Timestamp` where it counts seconds since 1970",
        "Decimal":
            "is Foundation's Decimal, which decodes from its own parts: declare it ExactDecimal",
        "Data":
            "is Data, which decodes from an array of bytes: declare it String, and make the Data of "
            + "that",
        "URL":
            "is a URL, which decodes from an object: declare it String, and make the URL of that",
    ]

    private static let known = Mutex<[ObjectIdentifier: String?]>([:])

    /// What to declare in a type's stead; nil where it is welcome.
    static func advice(_ type: Any.Type) -> String? {
        let id = ObjectIdentifier(type)
        if let known = known.withLock({ $0[id] }) { return known }
        let name = _typeName(type).split(separator: ".")
        let isFoundation = name.count == 2 && name[0].hasPrefix("Foundation")
        let advice = isFoundation ? instead[String(name[1])] : nil
        known.withLock { $0[id] = .some(advice) }
        return advice
    }
}

/// A type that holds values of others: those may be forbidden, too.
protocol HoldsOthers {
    static var held: [Any.Type] { get }
}

extension Optional: HoldsOthers { static var held: [Any.Type] { [Wrapped.self] } }
extension Array: HoldsOthers { static var held: [Any.Type] { [Element.self] } }
extension Set: HoldsOthers { static var held: [Any.Type] { [Element.self] } }
extension Dictionary: HoldsOthers { static var held: [Any.Type] { [Key.self, Self.Value.self] } }
