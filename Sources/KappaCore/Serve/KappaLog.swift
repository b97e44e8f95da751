extension Kappa {
    /// Removes the log's segments that only have events before an offset; not the one that is written to.
    ///
    /// Nothing is rebuilt: versions keep their rows, and imports still skip what the log had. A version that is built
    /// later begins at the log's first offset, and is not promoted by itself if rows would vanish.
    /// - Returns: The log's first offset now.
    /// - Throws: ``KappaError``: `.refused` if a version has not applied all of these events; `.notFound` if the log
    ///   ends before the offset.
    public func trimLog(before offset: Offset) async throws -> Offset {
        try enter()
        defer { leave() }
        let data = data
        return try await Self.onThread { try LogTrim(data).trim(before: offset) }
    }
}
