import Foundation
import KappaCore
import KappaTesting
import Testing

@Suite("Arithmetic of times") struct TimestampArithmeticTests {
    private let noon = Timestamp(microseconds: 1_705_320_000_000_000)

    @Test("differences and durations")
    func durations() {
        let later = noon + .minutes(90)
        #expect(later - noon == .minutes(90))
        #expect(noon - later == .minutes(-90))
        #expect(noon.duration(to: later) == .seconds(5_400))
        #expect(later - .hours(1) == noon + .minutes(30))
        var time = noon
        time += .seconds(1)
        time -= .milliseconds(500)
        #expect("\(time)" == "2024-01-15T12:00:00.5Z")
        #expect(later > noon && later.advanced(by: .minutes(-90)) == noon)
    }

    @Test("nothing ends the program at the bounds", arguments: Seeds.random(4))
    func bounds(seed: UInt64) {
        let (first, last) = (Timestamp(microseconds: .min), Timestamp(microseconds: .max))
        #expect(last + .seconds(1) == last && first - .seconds(1) == first)
        #expect(last - .seconds(-1) == last && first + .seconds(-1) == first)
        #expect((last - first).components.seconds == 18_446_744_073_709)
        #expect((first - last).components.seconds == -18_446_744_073_709)
        let longest = Duration(secondsComponent: .max, attosecondsComponent: 0)
        #expect(noon + longest == last && noon - longest == first)
        let shortest = Duration(secondsComponent: .min, attosecondsComponent: 0)
        #expect(noon + shortest == first && noon - shortest == last)
        #expect(noon + .days(.max) == last && noon + .days(.min) == first)
        #expect(noon - .minutes(.min) == last && first.start(ofWindow: .hours(1)) == first)
        var random = SplitMix(state: seed)
        for _ in 0..<200 {
            let a = Timestamp(microseconds: Int64(bitPattern: random.next()))
            let b = Timestamp(microseconds: Int64(bitPattern: random.next()))
            #expect(a + (b - a) == b && b - (b - a) == a)
            #expect((a < b) == ((b - a) > .zero))
        }
    }

    @Test("a time can be made from a date and a time of day in UTC")
    func parts() {
        #expect(Timestamp(year: 2024, month: 2, day: 29).map { "\($0)" } == "2024-02-29T00:00:00Z")
        #expect(
            Timestamp(
                year: 1969, month: 12, day: 31, hour: 23, minute: 59, second: 59,
                microsecond: 250_000
            ).map { "\($0)" } == "1969-12-31T23:59:59.25Z")
        #expect(Timestamp(year: 2023, month: 2, day: 29) == nil)
        #expect(Timestamp(year: 2024, month: 13, day: 1) == nil)
        #expect(Timestamp(year: 2024, month: 12, day: 32) == nil)
        #expect(Timestamp(year: .max, month: 1, day: 1) == nil)
        #expect(Timestamp(year: 2024, month: 12, day: 31, hour: 24) == nil)
    }

    @Test("the present, and Foundation's dates")
    func dates() {
        let now = Timestamp.now
        #expect(abs(Date(now).timeIntervalSinceNow) < 60)
        #expect(Timestamp(Date(timeIntervalSince1970: -0.25)) == Timestamp(microseconds: -250_000))
        #expect(Timestamp(Date(now)) == now)
        #expect(Timestamp(Date(timeIntervalSince1970: 1e300)) == Timestamp(microseconds: .max))
        #expect(Timestamp(Date(timeIntervalSince1970: -1e300)) == Timestamp(microseconds: .min))
        _ = Timestamp(Date(timeIntervalSince1970: .nan))
    }
}
