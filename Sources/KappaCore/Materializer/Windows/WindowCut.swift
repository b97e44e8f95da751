/// The windows of fixed bounds that a time falls into, in numbers.
struct WindowCut {
    private let size: Int64
    /// How far apart two windows begin.
    let every: Int64
    private let offset: Int64
    /// How many windows hold one time, at most.
    let mostWindows: Int

    /// Nil where the bounds depend on the events.
    init?(_ kind: Window.Kind?) {
        switch kind {
        case .tumbling(let micros): (size, every, offset) = (micros, micros, 0)
        case .hopping(let micros, let hop, let start): (size, every, offset) = (micros, hop, start)
        case .session, nil: return nil
        }
        mostWindows = Int((size - 1) / every + 1)
    }

    /// Of the windows that hold a time, the one that begins last.
    @inline(__always)
    func newestStart(at time: Int64) -> Int64 {
        Window.start(of: time &- offset, size: every) &+ offset
    }

    @inline(__always)
    func end(ofStart start: Int64) -> Int64 { start &+ size }

    /// The stretch of time around `time` all of which falls into the same windows.
    func pane(at time: Int64) -> Pane {
        let newest = newestStart(at: time)
        // The oldest window ends in the middle of a step where the size is no multiple of it.
        let rest = size % every
        let split = newest &+ rest
        if rest == 0 {
            return Pane(start: newest, end: newest &+ every, newest: newest, windows: mostWindows)
        }
        return time < split
            ? Pane(start: newest, end: split, newest: newest, windows: mostWindows)
            : Pane(
                start: split, end: newest &+ every, newest: newest, windows: mostWindows - 1)
    }

    struct Pane {
        var start: Int64
        var end: Int64
        /// The start of the newest of its windows; each older one begins a step earlier.
        var newest: Int64
        var windows: Int
    }

    /// How many of a pane's windows are open, which are its newest ones: those for which
    /// `end + lateness > streamTime`.
    @inline(__always)
    func openWindows(_ pane: Pane, lateness: Int64, streamTime: Int64) -> Int {
        let oldestEnd = pane.newest &+ size &- Int64(pane.windows - 1) &* every
        if oldestEnd &+ lateness > streamTime { return pane.windows }
        let rest = pane.newest &+ size &+ lateness &- streamTime
        return rest <= 0 ? 0 : min(pane.windows, Int((rest - 1) / every) + 1)
    }
}
