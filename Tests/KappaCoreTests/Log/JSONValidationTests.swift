import CKappaJSON
import KappaTesting
import Testing

@testable import KappaCore

@Suite("JSON is validated when it is appended")
struct JSONValidationTests {
    /// Invalid events, and the column that the error names.
    static let poison: [(bytes: [UInt8], column: Int)] = [
        (Array("1".utf8), 1), (Array("[{}]".utf8), 1), (Array(#""text""#.utf8), 1),
        (Array("null".utf8), 1), (Array("x".utf8), 1), (Array("{".utf8), 2),
        (Array(#"{"a":1} x"#.utf8), 9), (Array(#"{"a":1}{"b":2}"#.utf8), 8),
        (Array(#"{"a":1,}"#.utf8), 8), (Array(#"{"a" 1}"#.utf8), 6), (Array("{a:1}".utf8), 2),
        (Array(#"{"a":01}"#.utf8), 7), (Array(#"{"a":1.}"#.utf8), 8), (Array(#"{"a":.5}"#.utf8), 6),
        (Array(#"{"a":+1}"#.utf8), 6), (Array(#"{"a":-}"#.utf8), 7), (Array(#"{"a":1e}"#.utf8), 8),
        (Array(#"{"a":NaN}"#.utf8), 6), (Array(#"{"a":tru}"#.utf8), 9),
        (Array(#"{"a":'x'}"#.utf8), 6), (Array(#"{"a":"x}"#.utf8), 9),
        (Array(#"{"a":"\x"}"#.utf8), 8), (Array(#"{"a":"\u12g4"}"#.utf8), 11),
        (Array(#"{"a":[1}"#.utf8), 8), (Array(#"{"a":{"b":1]}"#.utf8), 12),
        // Lone surrogates, escaped and raw; overlong, cut, and past the end of Unicode.
        (Array(#"{"a":"\ud800"}"#.utf8), 13), (Array(#"{"a":"\udc00"}"#.utf8), 13),
        (Array(#"{"a":"\ud800\u0041"}"#.utf8), 19),
        (Array(#"{"a":""#.utf8) + [0xED, 0xA0, 0x80] + Array(#""}"#.utf8), 7),
        (Array(#"{"a":""#.utf8) + [0xC0, 0xAF] + Array(#""}"#.utf8), 7),
        (Array(#"{"a":""#.utf8) + [0xE2, 0x82] + Array(#""}"#.utf8), 7),
        (Array(#"{"a":""#.utf8) + [0xF4, 0x90, 0x80, 0x80] + Array(#""}"#.utf8), 7),
        (Array(#"{"a":""#.utf8) + [0xFF] + Array(#""}"#.utf8), 7),
        // NUL in a string, after the object and alone; a tab in a string; a BOM inside the text.
        (Array(#"{"a":""#.utf8) + [0] + Array(#""}"#.utf8), 7), (Array("{}".utf8) + [0], 3),
        ([0], 1), (Array("{\"a\":\"\t\"}".utf8), 7), ([0xEF, 0xBB, 0xBF] + Array("{}".utf8), 1),
        (nested(1_025), 5 * 1_024 + 1), (nested(100_000), 5 * 1_024 + 1),
        (nestedArray(1_025), 5 + 1_024), (Array(#"{"a":"#.utf8) + nestedArray(9_000), 10 + 1_023),
        // Never closed: deep, but not valid.
        ([UInt8](repeating: UInt8(ascii: "["), count: 5_000), 1),
    ]

    /// Odd but valid events.
    static let odd: [String] = [
        "{}", #"  {"a":1}  "#, "\t{\"a\":\t1}\t", #"{"a":1e400}"#, #"{"a":-0}"#, #"{"a":-0.0e-5}"#,
        #"{"a":9223372036854775808}"#, #"{"a":123456789012345678901234567890.123456789}"#,
        #"{"a":1,"a":2}"#, #"{"":{"":""}}"#, #"{"a":"\ud83d\ude00😀\u0000"}"#, #"{"a":"\/"}"#,
        String(decoding: nested(1_000), as: UTF8.self),
        String(decoding: nested(1_024), as: UTF8.self),
        String(decoding: nestedArray(1_024), as: UTF8.self),
        #"{"a":"\#(String(repeating: "x", count: 200_000))"}"#, #"{"KPB1":"KPB1"}"#,
    ]

    /// An object that is nested `depth` deep.
    private static func nested(_ depth: Int) -> [UInt8] {
        Array(
            (String(repeating: #"{"a":"#, count: depth - 1) + "{}"
                + String(repeating: "}", count: depth - 1)).utf8)
    }

    /// An object of arrays, with a number within, `depth` deep in all.
    private static func nestedArray(_ depth: Int) -> [UInt8] {
        Array(
            (#"{"a":"# + String(repeating: "[", count: depth - 1) + "1"
                + String(repeating: "]", count: depth - 1) + "}").utf8)
    }

    @Test("an invalid line is refused with line and column, and nothing of its batch is written")
    func refused() throws {
        let folder = LogFolder()
        let writer = try LogWriter(folder.path)
        for (bytes, column) in Self.poison {
            let text = Array("{}\n\n{\"a\":1}\r\n".utf8) + bytes + Array("\n{}\n".utf8)
            #expect {
                _ = try writer.append(LogTesting.bytes(text))
            } throws: { error in
                let error = error as? KappaError
                let what = String(decoding: bytes.prefix(40), as: UTF8.self)
                #expect(error?.place == "line 4, column \(column)", "\(what)")
                #expect(error?.reason != nil && error?.advice != nil, "\(what)")
                return error?.code == .badInput
            }
        }
        #expect(try LogTesting.read(folder.path) == [])
    }

    @Test("an odd event is kept byte for byte")
    func kept() throws {
        let folder = LogFolder()
        let text = Self.odd.joined(separator: "\r\n") + "\n \t \n\r\n\n" + #"{"last":true}"#
        _ = try LogWriter(folder.path).append(LogTesting.bytes(Array(text.utf8)))
        #expect(try LogTesting.texts(folder.path) == Self.odd + [#"{"last":true}"#])
    }

    @Test("an event may span several lines, but a string may not")
    func severalLines() throws {
        let folder = LogFolder()
        let writer = try LogWriter(folder.path)
        _ = try writer.append(EventLines(event: "{\n  \"a\": 1,\r\n  \"b\": []\n}\n"))
        #expect(try LogTesting.texts(folder.path) == ["{   \"a\": 1,    \"b\": [] } "])
        for event in ["{\"a\":\"x\ny\"}", "{}\n{}", "{\"a\":\r\n"] {
            #expect { _ = try EventLines(event: event) } throws: { error in
                (error as? KappaError)?.code == .badInput
            }
        }
    }

    // MARK: Two validators

    private func isGoodForBoth(_ line: [UInt8]) -> (fast: Bool, slow: Bool) {
        let padded = line + [UInt8](repeating: 0x22, count: Int(KJ_PADDING))
        let fast = padded.withUnsafeBytes {
            kj_validate_ndjson($0.baseAddress?.assumingMemoryBound(to: CChar.self), line.count)
        }
        let slow = line.withUnsafeBytes {
            EventLines.isBlank($0) || JSONValidator.flaw(in: $0) == nil
        }
        return (fast == line.count, slow)
    }

    /// simdjson may pass a valid line on to the slow validator if it has a very large number.
    private func mayBePassedOn(_ line: [UInt8]) -> Bool {
        let digits = line.split { !(0x30...0x39).contains($0) }.map(\.count).max() ?? 0
        return digits >= 3
    }

    @Test("the fast and the slow validator agree on mutated lines")
    func agree() {
        var random = SplitMix(state: LogTesting.seed)
        let seeds: [[UInt8]] = [
            #"{"event_id":"e1","amount":12.50,"tags":["a","b"],"ok":true,"none":null}"#,
            #"{"text":"q\"\\\/\b\f\n\r\té😀\ud83d\ude00","n":-0.5e-3,"deep":[[[{"x":{}}]]]}"#,
            #"{ "a" : [ 1 , 2 , { "b" : "" } ] , "é" : false }"#,
        ].map { Array($0.utf8) }
        let spice = Array("{}[]\",:\\u019eE+-. \t\r\0ntf/d8".utf8) + [0x80, 0xBF, 0xC2, 0xED, 0xF4]
        for round in 0..<20_000 {
            var line = seeds[round % seeds.count]
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let at = Int.random(in: 0..<line.count, using: &random)
                let byte = spice[Int.random(in: 0..<spice.count, using: &random)]
                switch Int.random(in: 0..<5, using: &random) {
                case 0: line[at] = byte
                case 1: line.insert(byte, at: at)
                case 2 where line.count > 2: line.remove(at: at)
                case 3:
                    let end = min(line.count, at + Int.random(in: 1...12, using: &random))
                    line.insert(contentsOf: line[at..<end], at: at)
                default: line[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                }
            }
            line.removeAll { $0 == 0x0A }
            let (fast, slow) = isGoodForBoth(line)
            let agree = fast == slow || (slow && mayBePassedOn(line))
            if !agree {
                Issue.record(
                    """
                    seed \(LogTesting.seed): simdjson says \(fast), ours \(slow) of \
                    \(String(decoding: line, as: UTF8.self)) \(line)
                    """)
                return
            }
        }
    }

    @Test("both give the expected verdict on the tables of invalid and of odd lines")
    func tables() {
        for (bytes, _) in Self.poison {
            let (fast, slow) = isGoodForBoth(bytes)
            #expect(!fast && !slow, "\(String(decoding: bytes.prefix(40), as: UTF8.self))")
        }
        for text in Self.odd {
            #expect(isGoodForBoth(Array(text.utf8)).slow, "\(text.prefix(40))")
        }
    }
}
