/// Events per second over the last second or so, for display only.
struct RateMeter {
    private var start = SystemClock.monotonicSeconds()
    private var startOffset: Offset?
    private var last = Offset.zero
    private(set) var perSecond = 0

    mutating func note(_ offset: Offset) {
        last = offset
        guard let from = startOffset else {
            startOffset = offset
            return
        }
        let now = SystemClock.monotonicSeconds()
        guard now - start >= 1 else { return }
        perSecond = Int(Double(last - from) / (now - start))
        start = now
        startOffset = offset
    }
}
