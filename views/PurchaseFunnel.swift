import KappaCore

/// How far each user has come from a view, through a click, to a purchase.
public struct Funnel: Codable, Equatable, Sendable {
    public var views = 0
    public var clicks = 0
    public var purchases = 0
    public var conversions = 0
    public var stage = Stage.new

    public enum Stage: String, Codable, Sendable {
        case new, viewed, clicked
    }
}

public let purchaseFunnel = View("purchase_funnel", initially: Funnel()) {
    On(UserEvent.self, key: \.userID) { event, funnel in
        switch event.action {
        case "view":
            funnel.views += 1
            if funnel.stage == .new { funnel.stage = .viewed }
        case "click":
            funnel.clicks += 1
            if funnel.stage == .viewed { funnel.stage = .clicked }
        case "purchase":
            funnel.purchases += 1
            if funnel.stage == .clicked {
                funnel.stage = .new
                funnel.conversions += 1
            }
        default: break
        }
    }
}
