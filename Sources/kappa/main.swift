import KappaCLI
import KappaCore
import Views

Kappa.main(views: sampleViews)
