import Synchronization
import Testing

@testable import KappaCore

/// Events whose values contain values of the same type, as deep as the log takes them.
@Suite("Deep events") struct DeepEventTests {
    struct Tree: Codable, Equatable, Sendable {
        var leaf: Int?
        var below: [Tree]?
        var named: [String: Tree]?
    }
    struct Trees: Event, Equatable {
        static let eventType: String? = nil
        var tree: Tree?
        var any: Kinds.Anything?
    }

    /// An event whose value is nested so many levels deep.
    private static func event(_ field: String, _ open: String, _ close: String, _ levels: Int)
        -> String
    {
        let inside = field == "any" ? "1" : #"{"leaf":1}"#
        return #"{"\#(field)":"# + String(repeating: open, count: levels) + inside
            + String(repeating: close, count: levels) + "}"
    }

    private static let kinds = [
        ("tree", #"{"below":["#, "]}", 2), ("tree", #"{"named":{"x":"#, "}}", 2),
        ("any", "[", "]", 1), ("any", #"{"x":"#, "}", 1), ("any", #"[{"x":"#, "}]", 2),
    ]

    /// What is read on a thread of kappa's own, whose stack is smaller than the main thread's.
    private static func read(_ lines: [String]) throws -> [Result<Trees, EventsBlock.Refusal>?] {
        let results = Mutex<Result<[Result<Trees, EventsBlock.Refusal>?], any Error>>(.success([]))
        let thread = try WorkerThread("deep") {
            let found = Result { try EventsBlock.read(Trees.self, lines) }
            results.withLock { $0 = found }
        }
        thread.join()
        return try results.withLock { $0 }.get()
    }

    @Test("are decoded to 512 levels, and refused below that", arguments: kinds.indices)
    func levels(kind: Int) throws {
        let (field, open, close, each) = Self.kinds[kind]
        let lines = [1, 100, 500, 520, 1_000].map {
            Self.event(field, open, close, $0 / each)
        }
        for line in lines { _ = try EventLines(event: line) }
        let found: [Result<Trees, EventsBlock.Refusal>?] = try Self.read(lines)
        var refused: [Bool] = []
        for result in found {
            switch result {
            case .success?: refused.append(false)
            case .failure(let refusal)?:
                refused.append(true)
                let says = "\(refusal)".contains("field tree is nested more than 512 levels deep")
                #expect(says || field != "tree", "\(refusal)")
            case nil: Issue.record("an event was not selected")
            }
        }
        #expect(refused == [false, false, false, true, true])
    }

    @Test("a row that could not be read back is not written", arguments: [255, 256, 450])
    func rows(nodes: Int) throws {
        // Each node takes two levels: the property and its element. The innermost leaf takes one more.
        var tree = Tree(leaf: 1)
        for _ in 0..<nodes { tree = Tree(below: [tree]) }
        let written = try? JSONValue(encoding: tree, for: .row)
        #expect((written != nil) == (2 * nodes + 1 <= 512))
        if let written {
            #expect(try ValueDecoder(written, origin: .row).decode(Tree.self) == tree)
        }
    }
}
