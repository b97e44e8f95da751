import Glibc
import KappaSinks
import KappaTesting
import Testing

@testable import KappaCore

@Suite("Publications that fail or wait")
struct PublicationErrorTests {
    @Test("an error that does not pass ends a publication; one that passes is tried again")
    func errors() throws {
        let folder = try VersionsFolder(inMemory: true)
        try folder.append(ticks: 10)
        try folder.catchUp([tally("a")])
        let place = MemoryPlace()
        var failures = 2
        var retries = 0
        try folder.publish(
            "tally",
            to: { () throws(KappaError) in
                MemorySink(
                    place,
                    failing: {
                        failures -= 1
                        return failures >= 0
                    })
            }, observer: { if case .retrying = $0 { retries += 1 } })
        #expect(retries == 2 && place.position != nil)
        let error = #expect(throws: KappaError.self) {
            try folder.publish("tally") { () throws(KappaError) in
                throw KappaError(.usage, "no such place")
            }
        }
        #expect(error?.what == "no such place")
        let none = #expect(throws: KappaError.self) {
            try folder.publish("latest") { () throws(KappaError) in MemorySink(MemoryPlace()) }
        }
        #expect(none?.code == .notFound)
        let other = #expect(throws: KappaError.self) {
            try folder.catchUp([latest("l")])
            try folder.publish("latest") { () throws(KappaError) in MemorySink(place) }
        }
        #expect(other?.what == "the sink holds another view")
    }

    @Test("a place that cannot be opened at first is an error at once; later it is waited for")
    func wrongPlace() throws {
        let folder = try VersionsFolder(inMemory: true)
        try folder.append(ticks: 10)
        try folder.catchUp([tally("a")])
        var retries = 0
        func publish(to open: @escaping () throws(KappaError) -> any ChangeSink) -> KappaError? {
            #expect(throws: KappaError.self) {
                try folder.publish(
                    "tally", to: open, observer: { if case .retrying = $0 { retries += 1 } })
            }
        }
        for code in [KappaError.Code.cannotCreate, .inputOutput, .notPermitted, .notFound] {
            let error = publish { () throws(KappaError) in throw KappaError(code, "no such place") }
            #expect(error?.code == code && retries == 0)
        }
        let place = MemoryPlace()
        var opened = 0
        try folder.publish(
            "tally",
            to: { () throws(KappaError) in
                opened += 1
                if opened == 1 { throw KappaError(.heldElsewhere, "somebody else is there") }
                if opened == 3 { throw KappaError(.inputOutput, "the disk is full") }
                return MemorySink(place, failing: { opened == 2 })
            }, observer: { if case .retrying = $0 { retries += 1 } })
        #expect(opened == 4 && retries == 3 && place.position != nil)
    }

    @Test("what does not pass is tried a few times until it is caught up, and for ever otherwise")
    func lasting() throws {
        let folder = try VersionsFolder(inMemory: true)
        try folder.append(ticks: 10)
        try folder.catchUp([tally("a")])
        var retries = 0
        let error = #expect(throws: KappaError.self) {
            try folder.publish(
                "tally",
                to: { () throws(KappaError) in MemorySink(MemoryPlace(), failing: { true }) },
                observer: { if case .retrying = $0 { retries += 1 } })
        }
        #expect(error?.code == .unreachable && retries == 5)
        retries = 0
        try Publication(
            "tally", folder.catalog(), shortestDelay: .milliseconds(1)
        ) { () throws(KappaError) in
            MemorySink(MemoryPlace(), failing: { true })
        }.run(
            untilCaughtUp: false, isStopped: { retries == 6 },
            observer: { if case .retrying = $0 { retries += 1 } })
    }

    @Test("a publication waits for a first version; it ends when the folder is replaced")
    func waits() throws {
        let folder = try VersionsFolder(inMemory: true)
        let place = MemoryPlace()
        var said: [String] = []
        let error = #expect(throws: KappaError.self) {
            try Publication("tally", folder.catalog()) { () throws(KappaError) in MemorySink(place)
            }
            .run(
                untilCaughtUp: false, isStopped: { false },
                observer: { report in
                    switch report {
                    case .waiting:
                        said.append("waiting")
                        try? folder.append(ticks: 10)
                        try? folder.catchUp([tally("a")])
                    case .loading(let version, let reason): said.append("\(version) \(reason)")
                    case .caughtUp(let position):
                        said.append("\(position.offset)")
                        unlink(folder.data.catalog)
                    case .retrying(let error, _): said.append(error.what)
                    }
                })
        }
        #expect(error?.what == "the catalog is gone")
        #expect(said == ["waiting", "tally@1 isEmpty", "10"])
    }

    @Test("a view without rows is published, and why all rows are written again is said")
    func reasons() throws {
        let folder = try VersionsFolder(inMemory: true)
        let place = MemoryPlace()
        var reasons: [PublicationReport.LoadReason] = []
        func publish() throws {
            try folder.publish(
                "tally", to: { () throws(KappaError) in MemorySink(place) },
                observer: { if case .loading(_, let reason) = $0 { reasons.append(reason) } })
            #expect(try place.read().sortedRows == folder.liveRows("tally").1.sortedRows)
        }
        try folder.append(ticks: 1)
        try folder.catchUp([tally("a", below: -1)])
        try publish()
        #expect(place.position?.offset == Offset(1) && reasons == [.isEmpty])
        try publish()
        try folder.append(ticks: 10)
        try folder.catchUp([tally("a", below: -1)])
        try publish()
        #expect(place.position?.offset == Offset(1))
        try folder.catchUp([tally("b")])
        try publish()
        #expect(place.position?.offset == Offset(11) && reasons == [.isEmpty])
        try folder.catchUp([tally("c", below: 3)])
        _ = try Garbage(folder.catalog()).collect(keep: 0)
        try publish()
        try folder.catchUp([
            View("tally", digest: "d") {
                Events(Tick.self).grouped(by: \.k).aggregate(.count().as("n"))
            }
        ])
        try publish()
        #expect(reasons == [.isEmpty, .notKept, .otherColumns])
    }

    @Test("the library publishes until its task is cancelled")
    func library() async throws {
        let folder = try TemporaryFolder(inMemory: true)
        let kappa = try await Kappa.open(folder.path, views: ViewSet([tally("a")]))
        for number in 0..<5 { try await kappa.append(Tick(k: "k\(number)", v: 1)) }
        try await kappa.catchUp()
        let path = folder.path + "/published.db"
        let caughtUp = Monitor(false)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await kappa.publish(tally("a")) { () throws(KappaError) in
                    try SQLiteSink(path, view: "tally")
                } observer: {
                    if case .caughtUp(let position) = $0, position.offset == Offset(6) {
                        caughtUp.withLock { $0 = true }
                    }
                }
            }
            try await kappa.append(Tick(k: "new", v: 1))
            try await kappa.catchUp()
            try waitFor("the sink has the new row") { caughtUp.withLock { $0 } }
            group.cancelAll()
        }
        #expect(try SQLiteConnection(path, .readOnly).integer("SELECT count(*) FROM tally") == 6)
        await kappa.close()
    }
}
