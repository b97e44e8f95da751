import KappaCore

/// How much each file changes, by how many people, and since when.
public let fileChurn = View("file_churn") {
    Events(FileChanged.self)
        .grouped(by: \.path)
        .aggregate(
            .count().as("changes"),
            .sum(\.added).as("added"),
            .sum(\.deleted).as("deleted"),
            .countDistinct(\.author).as("authors"),
            .min(\.committedAt).as("first_changed"),
            .max(\.committedAt).as("last_changed"))
}
