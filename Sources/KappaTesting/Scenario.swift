import KappaCore
