import KappaTesting
import Testing

@testable import KappaCore

@Suite("The guide on events") struct EventsGuideTests {
    @Test("times with a unit, and local ones, are the instants that the guide states")
    func units() throws {
        let lines = [
            #"{"event_type":"charge_made","id":"a","created":1709284200,"settled":1709284200250}"#,
            #"{"event_type":"charge_made","id":"b","created":"1709284200.5"}"#,
            #"{"event_type":"charge_made","id":"c","created":"2024-03-02T00:30:00","settled":null}"#,
            #"{"event_type":"charge_made","id":"d","created":"2024-03-02"}"#,
        ]
        let outcome = try EventsWay.whole(lines.count).run(paidByDay, lines)
        #expect(
            outcome.tables[0].map { $0.map(\.plainText).joined(separator: " ") } == [
                "2024-03-01T00:00:00Z 2024-03-02T00:00:00Z 3 2024-03-01T09:10:00.25Z"
            ])
        #expect(outcome.dead.map(\.offset.rawValue) == [3])
    }
}
