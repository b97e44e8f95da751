import Foundation
import KappaTesting

@testable import KappaCore

/// Types with their own `init(from:)`, as people write them.
enum Kinds {
    /// A number or a text, under the same key.
    enum NumberOrText: Codable, Hashable, Sendable {
        case number(Int)
        case text(String)
        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let number = try? container.decode(Int.self) {
                self = .number(number)
            } else {
                self = .text(try container.decode(String.self))
            }
        }
        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .number(let number): try container.encode(number)
            case .text(let text): try container.encode(text)
            }
        }
    }

    /// Any JSON, null included.
    indirect enum Anything: Decodable, Hashable, Sendable {
        case null
        case bool(Bool)
        case number(Double)
        case text(String)
        case list([Anything])
        case object([String: Anything])
        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if container.decodeNil() {
                self = .null
                return
            }
            if let bool = try? container.decode(Bool.self) {
                self = .bool(bool)
                return
            }
            if let number = try? container.decode(Double.self) {
                self = .number(number)
                return
            }
            if let text = try? container.decode(String.self) {
                self = .text(text)
                return
            }
            if let list = try? container.decode([Anything].self) {
                self = .list(list)
                return
            }
            self = .object(try container.decode([String: Anything].self))
        }
    }

    /// An object, or its name alone.
    struct Named: Decodable, Hashable, Sendable {
        var name: String
        var size: Int?
        enum CodingKeys: CodingKey { case name, size }
        init(name: String, size: Int? = nil) { (self.name, self.size) = (name, size) }
        init(from decoder: any Decoder) throws {
            if let keyed = try? decoder.container(keyedBy: CodingKeys.self) {
                name = try keyed.decode(String.self, forKey: .name)
                size = try keyed.decodeIfPresent(Int.self, forKey: .size)
            } else {
                name = try decoder.singleValueContainer().decode(String.self)
            }
        }
    }

    /// One element, or a list of them.
    struct OneOrMany: Decodable, Hashable, Sendable {
        var all: [Int]
        init(_ all: [Int]) { self.all = all }
        init(from decoder: any Decoder) throws {
            if var list = try? decoder.unkeyedContainer() {
                all = []
                while !list.isAtEnd { all.append(try list.decode(Int.self)) }
            } else {
                all = [try decoder.singleValueContainer().decode(Int.self)]
            }
        }
    }

    struct Point: Codable, Hashable, Sendable {
        var x, y: Double
        init(_ x: Double, _ y: Double) { (self.x, self.y) = (x, y) }
        init(from decoder: any Decoder) throws {
            var list = try decoder.unkeyedContainer()
            x = try list.decode(Double.self)
            y = try list.decode(Double.self)
        }
    }

    enum Payment: Codable, Hashable, Sendable {
        case card(number: String, year: Int)
        case cash
        case voucher(String)
    }

    enum Level: String, Codable, Hashable, Sendable { case low, high }
    enum Code: Int, Codable, Hashable, Sendable {
        case one = 1
        case two
    }
    enum Represented: String, Codable, Hashable, Sendable, CodingKeyRepresentable { case a, b }

    struct Email: RawRepresentable, Codable, Hashable, Sendable {
        var rawValue: String
    }

    /// Accepts only three capital letters.
    struct Currency: Decodable, Hashable, Sendable {
        var code: String
        init(_ code: String) { self.code = code }
        init(from decoder: any Decoder) throws {
            code = try decoder.singleValueContainer().decode(String.self)
            guard code.utf8.count == 3, code == code.uppercased() else {
                throw FieldFailure(description: "\(code) is no currency")
            }
        }
    }
    /// Accepts nothing that kappa's made-up values contain.
    struct Picky: Decodable, Hashable, Sendable {
        var text: String
        init(_ text: String) { self.text = text }
        init(from decoder: any Decoder) throws {
            text = try decoder.singleValueContainer().decode(String.self)
            guard text.hasPrefix("SKU-") else { throw FieldFailure(description: "no SKU") }
        }
    }
    /// A default instead of a failure.
    struct Lenient: Decodable, Hashable, Sendable {
        var number: Int
        init(_ number: Int) { self.number = number }
        init(from decoder: any Decoder) throws {
            number = (try? decoder.singleValueContainer().decode(Int.self)) ?? -1
        }
    }
    struct Box<Value: Codable & Hashable & Sendable>: Codable, Hashable, Sendable {
        var value: Value
    }
    struct When: Decodable, Hashable, Sendable {
        var time: Timestamp
        init(_ time: Timestamp) { self.time = time }
        init(from decoder: any Decoder) throws {
            time = try decoder.singleValueContainer().decode(Timestamp.self)
        }
    }
    final class Shared: Decodable, Hashable, Sendable {
        let name: String
        init(_ name: String) { self.name = name }
        static func == (a: Shared, b: Shared) -> Bool { a.name == b.name }
        func hash(into hasher: inout Hasher) { hasher.combine(name) }
    }
    struct Tree: Codable, Hashable, Sendable {
        var name: String
        var children: [Tree]
    }
    @propertyWrapper struct Trimmed: Codable, Hashable, Sendable {
        var wrappedValue: String
        init(wrappedValue: String) { self.wrappedValue = wrappedValue }
        init(from decoder: any Decoder) throws {
            wrappedValue = try decoder.singleValueContainer().decode(String.self)
                .trimmingCharacters(in: .whitespaces)
        }
    }
    struct Trims: Codable, Hashable, Sendable {
        @Trimmed var text: String
    }
}
