/// What became of an event that a step asked for.
package enum EventOutcome {
    case applied
    case late
    case dead(String)

    /// What an error makes of an event.
    init(_ error: any Error) {
        self = error is LateElement ? .late : .dead(FieldFailure.reason(error))
    }
}
