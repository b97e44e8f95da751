import KappaCore

/// The sample views, with the digests of their files.
public let sampleViews = ViewSet(
    [
        actionCounts, userTotals, userSessions, purchaseFunnel,
        fileChurn, authorWeeks, authorStreaks,
    ],
    digests: viewDigests)
