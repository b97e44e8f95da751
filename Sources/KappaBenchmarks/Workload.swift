import KappaCore
import Views

/// One workload to measure.
struct Workload {
    enum Kind {
        /// Only extracts the fields of these views from the log's blocks in memory.
        case floor([any AnyView])
        /// Foundation's decoder, for comparison.
        case foundation
        /// From offset zero to durable, live versions.
        case replay([any AnyView], memoryBytes: Int = 1 << 30)
        /// The second half of a replay, from its checkpoint.
        case resume([any AnyView])
        case appendPipe
        case appendSingles
        /// From an acknowledged append to the row being visible to another process.
        case latency(besideRebuild: Bool)
    }

    let name: String
    let summary: String
    let input: BenchInput.Kind
    let kind: Kind
    /// The floor workload that the table compares it with.
    var floor: String?

    static let all: [Workload] = [
        Workload(
            name: "floor-W1", summary: "the fields of action_counts out of the bytes, nothing else",
            input: .few, kind: .floor([actionCounts])),
        Workload(
            name: "floor-W2", summary: "the fields of user_totals out of the bytes, nothing else",
            input: .few, kind: .floor([userTotals])),
        Workload(
            name: "W1", summary: "action_counts: windows of 10 s, count and sum by action",
            input: .few, kind: .replay([actionCounts]), floor: "floor-W1"),
        Workload(
            name: "W2-100", summary: "user_totals of 100 users",
            input: .few, kind: .replay([userTotals]), floor: "floor-W2"),
        Workload(
            name: "W2-1M", summary: "user_totals of 1 million users",
            input: .many, kind: .replay([userTotals]), floor: "floor-W2"),
        Workload(
            name: "W3-100", summary: "user_sessions of 100 users",
            input: .few, kind: .replay([userSessions]), floor: "floor-W1"),
        Workload(
            name: "W3-1M", summary: "user_sessions of 1 million users",
            input: .many, kind: .replay([userSessions]), floor: "floor-W1"),
        Workload(
            name: "W4", summary: "purchase_funnel: a fold over structs",
            input: .few, kind: .replay([purchaseFunnel]), floor: "floor-W2"),
        Workload(
            name: "foundation", summary: "the same struct by Foundation's JSONDecoder, no view",
            input: .few, kind: .foundation),
        Workload(
            name: "W5", summary: "five views in one scan",
            input: .few,
            kind: .replay([actionCounts, userTotals, userSessions, purchaseFunnel, actionTotals]),
            floor: "floor-W2"),
        Workload(
            name: "W6", summary: "action_counts resumed from the middle",
            input: .few, kind: .resume([actionCounts]), floor: "floor-W1"),
        Workload(
            name: "W7-pipe", summary: "append from a pipe, one fsync for each batch",
            input: .few, kind: .appendPipe),
        Workload(
            name: "W7-16", summary: "single-event appends of 16 writers",
            input: .few, kind: .appendSingles),
        Workload(
            name: "W8", summary: "append to visible, 1,000 events a second",
            input: .few, kind: .latency(besideRebuild: false)),
        Workload(
            name: "W8-beside", summary: "the same while a rebuild goes on",
            input: .few, kind: .latency(besideRebuild: true)),
        Workload(
            name: "W9", summary: "W1 from a log sealed with zstd",
            input: .sealed, kind: .replay([actionCounts]), floor: "floor-W1"),
        Workload(
            name: "W10", summary: "user_totals of 20 million users in 512 MB",
            input: .huge, kind: .replay([userTotals], memoryBytes: 512 << 20), floor: "floor-W2"),
        Workload(
            name: "W11", summary: "customer_orders: a fold over orders with lines",
            input: .orders, kind: .replay([customerOrders])),
    ]

    /// The workloads whose cost per event is measured for growing logs.
    static let scaling = ["W1", "W2-100", "W4"]
}

/// The totals of each action: the fifth view of W5.
private let actionTotals = View("action_totals", digest: "1") {
    Events(BenchEvent.self)
        .grouped(by: \.action)
        .aggregate(.count().as("events"), .sum(\.amount).as("revenue"))
}

struct BenchEvent: Event {
    var action: String
    var amount: ExactDecimal

    static let eventType: String? = nil
}
