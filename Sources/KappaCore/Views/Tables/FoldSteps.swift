/// The handlers of a fold as a step of a view.
struct Fold: ViewStep {
    let handlers: FoldHandlers
    let initial: (any ViewRow)?

    func define(view: String) throws(KappaError) -> StepDefinition {
        let placed = handlers.list.map { ($0.table ?? view, $0.handler) }
        return StepDefinition(
            .fold(
                try FoldDefinition(
                    view: view, handlers: placed, initial: initial.map { [view: $0] } ?? [:])))
    }
}

/// Collects the handlers of a fold.
@resultBuilder
public enum FoldBuilder<State> {
    /// A handler of the view's own table.
    public static func buildExpression(_ on: On<State>) -> FoldHandlers {
        FoldHandlers(list: [(nil, on.handler)])
    }
    /// A handler of a further table.
    public static func buildExpression(_ handler: TableHandler) -> FoldHandlers {
        FoldHandlers(list: [(handler.table, handler.handler)])
    }
    /// All handlers, in the order in which they stand.
    public static func buildBlock(_ handlers: FoldHandlers...) -> FoldHandlers {
        FoldHandlers(list: handlers.flatMap(\.list))
    }
}

/// What ``FoldBuilder`` collects.
public struct FoldHandlers: Sendable {
    var list: [(table: String?, handler: FoldHandler)]
}
