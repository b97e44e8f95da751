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

    /// The JSON names that a coding key takes: its own first, then those that stand for it where an
    /// object does not have that one. `_id` does not stand for `id`.
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
