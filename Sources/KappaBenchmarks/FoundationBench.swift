import Foundation
import KappaCore

/// Measures decoding the same events with Foundation's decoder: the baseline for structs.
enum FoundationBench {
    private struct Event: Decodable {
        var userID: String
        var action: String
        var amount: Double
        var timestamp: String

        enum CodingKeys: String, CodingKey {
            case userID = "user_id"
            case action, amount, timestamp
        }
    }

    private static let events = 100_000

    static func run(_ input: BenchInput) throws -> Figures {
        let reader = try LogReader(input.folder.log)
        let buffer = BlockBuffer()
        var lines: [Data] = []
        while lines.count < events, let block = try reader.next(into: buffer) {
            block.forEachEvent { event in
                lines.append(Data(event.json ?? .init(start: nil, count: 0)))
                return lines.count < events
            }
        }
        let decoder = JSONDecoder()
        return try Figures.of(events: lines.count) {
            var length = 0
            for line in lines { length += try decoder.decode(Event.self, from: line).action.count }
            return length > 0 ? 0 : 1
        }
    }
}
