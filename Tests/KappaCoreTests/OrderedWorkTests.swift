import KappaTesting
import Testing

@testable import KappaCore

@Suite("Work on several threads whose results are taken in order")
struct OrderedWorkTests {
    private final class Slot: @unchecked Sendable {
        var value = 0
    }

    private struct Failure: Error, Equatable {
        let piece: Int
    }

    @Test("every piece is taken once, in order", arguments: [1, 2, 5])
    func order(threads: Int) throws {
        for pieces in [0, 1, 2, 100] {
            var taken: [Int] = []
            try OrderedWork.run(
                pieces: pieces, slots: (0..<(threads + 1)).map { _ in Slot() }, threads: threads
            ) { piece, slot in
                if piece % 7 == 3 { Pause.briefly() }
                slot.value = piece * piece
            } take: {
                taken.append($0.value)
            }
            #expect(taken == (0..<pieces).map { $0 * $0 })
        }
    }

    @Test("the first error in order ends it, after the pieces before it")
    func errors() {
        var taken: [Int] = []
        let error = #expect(throws: Failure.self) {
            try OrderedWork.run(pieces: 50, slots: (0..<4).map { _ in Slot() }, threads: 2) {
                piece, slot in
                if piece >= 10 { throw Failure(piece: piece) }
                slot.value = piece
            } take: {
                taken.append($0.value)
            }
        }
        #expect(error == Failure(piece: 10))
        #expect(taken == Array(0..<10))
    }

    @Test("an error of the consumer ends it, too")
    func takersError() {
        #expect(throws: Failure(piece: 3)) {
            try OrderedWork.run(pieces: 50, slots: (0..<4).map { _ in Slot() }, threads: 2) {
                piece, slot in
                slot.value = piece
            } take: {
                if $0.value == 3 { throw Failure(piece: 3) }
            }
        }
    }
}
