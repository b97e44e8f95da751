import KappaCore

/// Messages about views whose definition is invalid.
enum InvalidViews {
    static func reason(_ view: InvalidView) -> String {
        view.error.what + (view.error.reason.map { ": \($0)" } ?? "")
    }

    /// The view with its whole error.
    static func text(_ view: InvalidView) -> String {
        "\(SafeText.line(view.name))  invalid\n"
            + view.error.description.split(separator: "\n")
            .map { "    " + SafeText.line(String($0)) }.joined(separator: "\n")
    }

    /// Reports the invalid views of this build, in addition to the existing versions.
    static func say(_ views: [InvalidView], only name: String?) {
        for view in views where name == nil || view.name == name {
            Output.say(
                "\(SafeText.line(view.name)): invalid in this build: "
                    + SafeText.line(reason(view)))
        }
    }

    static func say(earlier views: [InvalidView]) {
        for view in views {
            Output.say(
                "an earlier definition of \(SafeText.line(view.name)) cannot be used: "
                    + SafeText.line(reason(view)))
        }
    }
}
