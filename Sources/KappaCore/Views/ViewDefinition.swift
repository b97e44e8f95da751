/// A view that has been worked out: its tables, steps and digest.
package struct ViewDefinition: Sendable {
    package let name: String
    package let digest: String
    /// All tables: first those that readers see, then the hidden ones.
    package private(set) var tables: [TableSchema]
    package private(set) var steps: [StepDefinition]
    package let eventTypes: [String]
    package let gates: [Gate]
    /// Whether new versions keep an index of the keys of some tables.
    package let isIndexed: Bool

    init(
        _ view: any AnyView, digests: ViewDigests?, allowUndigested: Bool, isEarlier: Bool = false
    ) throws(KappaError) {
        name = view.name
        var steps: [StepDefinition] = []
        for step in view.steps { steps.append(try step.define(view: view.name)) }
        if steps.isEmpty {
            throw KappaError(
                .usage, "view \(view.name) has no steps", at: view.file,
                because: "each step makes a table of events, and there is none",
                advice: "Add one, such as Events(SomeEvent.self).grouped(by: \\.id)"
                    + ".aggregate(.count().as(\"events\"))")
        }
        self.steps = steps
        let visible = steps.flatMap(\.tables)
        var states = steps.flatMap(\.stateTables)
        for index in states.indices { states[index].name = "_kappa_state_\(index)" }
        isIndexed = view.isIndexed
        tables = visible + states + (view.isIndexed ? try Self.keyIndexes(steps, in: view) : [])
        for (index, table) in visible.enumerated() {
            try Self.check(table, in: view)
            if visible[..<index].contains(where: { $0.name == table.name }) {
                throw KappaError(
                    .usage, "view \(view.name) has two tables named \(table.name)", at: view.file,
                    because: "each step of a view makes a table of its own",
                    advice: "Name the further ones: .aggregate(…).into(\"another_name\")")
            }
        }
        var types: [String] = []
        for type in steps.flatMap(\.eventTypes) where !types.contains(type) { types.append(type) }
        eventTypes = types
        if let given = try Self.givenDigest(of: view, isEarlier: isEarlier) {
            digest = given
        } else {
            digest = try Self.digest(
                of: view, steps: steps, digests: digests, allowUndigested: allowUndigested)
        }
        gates = view.gates
        for gate in gates {
            if let fault = gate.fault {
                throw .senseless(fault, at: "view \(view.name), gate \(gate)")
            }
        }
        for case .drift(let column, _) in gates.map(\.rule) {
            _ = try tables.numbers(column, in: "the gates of view \(name)")
        }
    }

    /// The tables without the key indexes: for scratch and sample versions.
    package var tablesWithoutIndex: [TableSchema] { tables.filter { !$0.isKeyIndex } }

    /// A key index for each table that one helps.
    private static func keyIndexes(
        _ steps: [StepDefinition], in view: any AnyView
    ) throws(KappaError) -> [TableSchema] {
        var indexes: [TableSchema] = []
        var table = 0
        for step in steps {
            for _ in step.tables {
                if step.readsOwnKeyOnly { indexes.append(.keyIndex(of: table)) }
                table += 1
            }
        }
        if indexes.isEmpty {
            throw KappaError(
                .usage, "view \(view.name) cannot be indexed", at: view.file,
                because: "its rows may depend on events of other keys than their own, "
                    + "so `kappa why` has to replay them all",
                advice: "Leave .indexed() out: it serves aggregations of events, and folds whose "
                    + "handlers look at no other rows")
        }
        return indexes
    }

    /// The same view with only one of its steps, and only that step's visible tables.
    func only(step index: Int) -> ViewDefinition {
        var copy = self
        copy.steps = [steps[index]]
        copy.tables = steps[index].tables
        return copy
    }

    /// The digest of the version that an earlier definition made, if the view states one.
    private static func givenDigest(
        of view: any AnyView, isEarlier: Bool
    ) throws(KappaError) -> String? {
        guard let text = view.explicitDigest, text.hasPrefix("=") else { return nil }
        let digits = String(text.dropFirst())
        let isGood =
            digits.utf8.count == 16
            && digits.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x61...0x66).contains($0)
            }
        guard isGood, isEarlier else {
            throw KappaError(
                .usage, "view \(view.name) cannot have the digest \(text)", at: view.file,
                because: isEarlier
                    ? "the equals sign must be followed by the 16 digits of a version's digest"
                    : "a digest with = names an existing version, which only an earlier "
                        + "definition may do",
                advice: isEarlier
                    ? "Copy the digest from `kappa status \(view.name) --format json`"
                    : "List the view under earlier: in its ViewSet, or leave the digest to kappa")
        }
        return digits
    }

    private static func check(
        name: String, what: String, in view: any AnyView
    ) throws(KappaError) {
        let bytes = Array(name.utf8)
        let isGood =
            (1...63).contains(bytes.count)
            && (0x61...0x7A).contains(bytes[0])
            && bytes.allSatisfy {
                (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F
            }
        if !isGood {
            throw KappaError(
                .usage, "\"\(name)\" cannot name a \(what)", at: view.file,
                because: "names are [a-z][a-z0-9_]{0,62}", advice: "Choose another name")
        }
    }

    private static func check(_ table: TableSchema, in view: any AnyView) throws(KappaError) {
        try check(name: table.name, what: "table", in: view)
        var seen: Set<String> = []
        for column in table.columns {
            try check(name: column.name, what: "column", in: view)
            if !seen.insert(column.name).inserted {
                throw KappaError(
                    .usage, "table \(table.name) has two columns named \(column.name)",
                    at: view.file, because: "columns are found by their names",
                    advice: "Give the aggregate, or the key, another name with as:")
            }
        }
    }

    /// Raised when a change to kappa makes different rows from the same definition. Every view is then built
    /// anew beside its live version, compared and promoted, as if its own definition had changed.
    /// 2: corrected values of times, texts, dictionaries and approximate quantiles.
    private static let engineRevision = 2

    /// Hashes the source file's digest and the signatures of the steps into 16 digits.
    private static func digest(
        of view: any AnyView, steps: [StepDefinition], digests: ViewDigests?,
        allowUndigested: Bool
    ) throws(KappaError) -> String {
        let hasFold = steps.contains { if case .fold = $0.kind { true } else { false } }
        let source = view.explicitDigest ?? digests?[file: view.file]
        if source == nil, !allowUndigested, digests != nil || hasFold {
            throw KappaError(
                .usage, "there is no digest of view \(view.name)", at: view.file,
                because: "the build plugin did not see its file",
                advice: "Add .plugin(name: \"ViewDigests\") to the target that defines the view "
                    + "and pass viewDigests, or give the view a digest of its own")
        }
        let text =
            "\(engineRevision)|\(view.name)|\(source ?? "")|"
            + steps.map(\.signature).joined(separator: "|")
        var hash = StableHash()
        hash.add(text.utf8)
        let digits = hash.digits
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

extension ViewDefinition {
    /// Works a view out. This tries the types of its events and rows, whose code may crash, so a mark notes
    /// which view is being tried.
    init(
        trying view: any AnyView, digests: ViewDigests?, allowUndigested: Bool,
        isEarlier: Bool = false, marksFolder: String? = nil
    ) throws(KappaError) {
        try Self.check(name: view.name, what: "view", in: view)
        // A view may have several earlier definitions.
        let name =
            isEarlier
            ? "\(view.name)=\(try Self.givenDigest(of: view, isEarlier: true) ?? "")" : view.name
        let mark = LearningMark(name, in: marksFolder)
        defer { mark.remove() }
        if let crash = CrashMark.notice(of: name, .learning) {
            throw KappaError(
                .usage, "view \(view.name) cannot be worked out", at: view.file,
                because: "its code crashes when the types of its events or rows are tried out, "
                    + crash.signalText,
                advice: "Have their init(from:) throw where it cannot take a value")
        }
        var result: Result<ViewDefinition, KappaError>?
        mark.mark.during(.learning, .zero, .zero) {
            do throws(KappaError) {
                result = .success(
                    try ViewDefinition(
                        view, digests: digests, allowUndigested: allowUndigested,
                        isEarlier: isEarlier))
            } catch { result = .failure(error) }
        }
        guard let result else { throw KappaError(.bug, "a view was not worked out", at: view.name) }
        self = try result.get()
    }
}
