/// Names of fields: `userID` in Swift is `user_id` in JSON and in tables.
enum FieldName {
    /// `userID` → `user_id`, `HTTPCode` → `http_code`, `user_id` → `user_id`.
    static func snakeCase(_ name: String) -> String {
        let letters = Array(name)
        var result = ""
        for (index, letter) in letters.enumerated() {
            if letter.isUppercase, index > 0, letters[index - 1] != "_" {
                let afterLower = !letters[index - 1].isUppercase
                let beforeLower = index + 1 < letters.count && letters[index + 1].isLowercase
                if afterLower || beforeLower { result += "_" }
            }
            result += letter.lowercased()
        }
        return result
    }

    /// `user_id` → `userId`.
    static func camelCase(_ name: String) -> String {
        let words = snakeCase(name).split(separator: "_", omittingEmptySubsequences: true)
        guard let first = words.first else { return name }
        return String(first)
            + words.dropFirst().map { $0.prefix(1).uppercased() + $0.dropFirst() }
            .joined()
    }

    /// The JSON names that a coding key accepts: first its own, then the other spellings, for an object that
    /// lacks its own. `_id` is not another spelling of `id`.
    static func candidates(for key: String) -> [String] {
        var names = [key]
        let snake = snakeCase(key)
        for name in [snake, camelCase(key)]
        where (name == snake || snakeCase(name) == snake)
            && !names.contains(where: { $0.hasSameBytes(as: name) })
        {
            names.append(name)
        }
        return names
    }
}

/// Finds the positions of names in a list by their bytes: in a short list by looking at each, in a long one
/// by binary search.
struct NameIndex {
    private let names: [String]
    /// The positions of the names, in the order of the names' bytes; those of equal names ascend. Empty for a
    /// short list.
    private var order: [Int] = []
    private static let few = 16

    init(_ names: [String]) {
        self.names = names
        if names.count > Self.few {
            order = names.indices.sorted { Self.precedes((names[$0], $0), (names[$1], $1)) }
        }
    }

    /// The last position of a name before `end`; nil if there is none.
    func last(_ name: String, before end: Int = .max) -> Int? {
        guard !order.isEmpty else {
            return names.indices.last { $0 < end && names[$0].hasSameBytes(as: name) }
        }
        var (low, high) = (0, order.count)
        while low < high {
            let middle = (low + high) / 2
            let place = order[middle]
            if Self.precedes((names[place], place), (name, end)) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        guard low > 0, names[order[low - 1]].hasSameBytes(as: name) else { return nil }
        return order[low - 1]
    }

    /// The position of the member that a coding key means: the last of its own name, or else the last under
    /// another of the key's names.
    func place(of key: String) -> Int? {
        last(key) ?? FieldName.candidates(for: key).dropFirst().compactMap { last($0) }.max()
    }

    private static func precedes(_ a: (name: String, place: Int), _ b: (name: String, place: Int))
        -> Bool
    {
        if a.name.hasBytesBefore(b.name) { return true }
        return a.place < b.place && a.name.hasSameBytes(as: b.name)
    }
}

extension JSONValue {
    /// The values of an object's members with the given names, in the order of the names; nil for a missing
    /// one. This is fastest if the members are in that order.
    static func members(
        _ names: [String], of members: [(key: String, value: JSONValue)]
    ) -> [JSONValue?] {
        var index: NameIndex?
        var next = 0
        return names.map { name in
            if next < members.count, members[next].key.hasSameBytes(as: name) {
                next += 1
                return members[next - 1].value
            }
            let known = index ?? NameIndex(members.map(\.key))
            index = known
            guard let place = known.last(name) else { return nil }
            next = place + 1
            return members[place].value
        }
    }
}
