import Synchronization

/// What is learned of types when it is first asked for: when a view is worked out, not when it is written down.
/// The code of types may crash, and then it is known whose view it is.
final class Learned<Value: Sendable>: Sendable {
    private let make: @Sendable () throws(KappaError) -> Value
    private let result = Mutex<Result<Value, KappaError>?>(nil)

    init(_ make: @escaping @Sendable () throws(KappaError) -> Value) { self.make = make }

    func get() throws(KappaError) -> Value {
        try result.withLock { result in
            let known = result ?? Result(catching: make)
            result = known
            return known
        }.get()
    }

    /// Why it cannot be had.
    var error: KappaError? {
        do throws(KappaError) {
            _ = try get()
            return nil
        } catch { return error }
    }
}
