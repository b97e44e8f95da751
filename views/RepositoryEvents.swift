import KappaCore

/// A commit of a repository's history.
struct Commit: Event {
    var author: String
    var committedAt: Timestamp
    var files: Int
}

/// A file that a commit touched. Binary files have no counts of lines.
struct FileChanged: Event {
    var path: String
    var author: String
    var added: Int?
    var deleted: Int?
    var committedAt: Timestamp
}
