/// Computes the windows of fixed bounds that a time falls into.
struct WindowCut {
    private let size: Int64
    private let calendar: (window: CalendarWindow, zone: TimeZoneRules)?
    /// The distance between the starts of two windows.
    let every: Int64
    private let offset: Int64
    /// The largest number of windows that one time falls into.
    let mostWindows: Int

    /// Nil if the windows' bounds depend on the events.
    init?(_ definition: AggregationDefinition) {
        var calendar: CalendarWindow?
        switch definition.window {
        case .tumbling(let micros): (size, every, offset) = (micros, micros, 0)
        case .hopping(let micros, let hop, let start): (size, every, offset) = (micros, hop, start)
        case .calendar(let window):
            calendar = window
            (size, every, offset) = (1, 1, 0)
        case .session, .sliding, nil: return nil
        }
        self.calendar = calendar.map { ($0, definition.zone) }
        mostWindows = Int((size - 1) / every + 1)
    }

    /// The end of a window, by its start.
    func end(ofStart start: Int64) -> Int64 {
        calendar.map { $0.window.bounds(around: start, $0.zone).end } ?? start &+ size
    }

    /// The longest span around `time` in which all times fall into the same windows.
    func pane(at time: Int64) -> Pane {
        if let calendar {
            let (start, end) = calendar.window.bounds(around: time, calendar.zone)
            return Pane(start: start, end: end, newest: start, newestEnd: end, windows: 1)
        }
        let newest = Window.start(of: time &- offset, size: every) &+ offset
        let (next, end) = (newest &+ every, newest &+ size)
        // If the size is not a multiple of the step, the oldest window ends in the middle of a step.
        let rest = size % every
        let split = newest &+ rest
        if rest == 0 || time < split {
            return Pane(
                start: newest, end: rest == 0 ? next : split, newest: newest, newestEnd: end,
                windows: mostWindows)
        }
        return Pane(
            start: split, end: next, newest: newest, newestEnd: end, windows: mostWindows - 1)
    }

    struct Pane {
        var start: Int64
        var end: Int64
        /// The bounds of the newest of its windows; each older one begins and ends a step earlier.
        var newest: Int64
        var newestEnd: Int64
        var windows: Int
    }

    /// How many of a pane's windows are open: those for which `end + lateness > streamTime`, which are the
    /// newest.
    @inline(__always)
    func openWindows(_ pane: Pane, lateness: Int64, streamTime: Int64) -> Int {
        let oldestEnd = pane.newestEnd &- Int64(pane.windows - 1) &* every
        if oldestEnd &+ lateness > streamTime { return pane.windows }
        let rest = pane.newestEnd &+ lateness &- streamTime
        return rest <= 0 ? 0 : min(pane.windows, Int((rest - 1) / every) + 1)
    }
}
