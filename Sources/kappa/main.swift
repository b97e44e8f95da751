import KappaCLI
import KappaCore
import KappaSinks
import Views

Kappa.main(views: sampleViews, connectors: [CSVSinkConnector(), SQLiteSinkConnector()])
