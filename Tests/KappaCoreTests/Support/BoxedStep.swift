@testable import KappaCore

/// A step whose kind is chosen at run time.
struct BoxedStep: TableStep {
    typealias Row = Columns
    var tableName: String?
    private let step: any ViewStep

    init(_ step: any ViewStep) { self.step = step }

    func define(view: String) throws(KappaError) -> StepDefinition {
        try step.define(view: view)
    }
}
