import KappaCLI

/// The texts and prices of generated events.
struct NexmarkTexts: Sendable {
    private let firstNames: [StaticString] = [
        "Ada", "Boris", "Chidi", "Dora", "Emeka", "Femi", "Greta", "Hugo", "Ines", "Jonas", "Kira",
    ]
    private let lastNames: [StaticString] = [
        "Abbot", "Berg", "Castro", "Dunn", "Engel", "Fuchs", "Gordon", "Hale", "Iwata",
    ]
    /// Cities and their states; some queries filter by state.
    private let places: [StaticString] = [
        #"Phoenix","state":"AZ"#, #"Tucson","state":"AZ"#, #"San Jose","state":"CA"#,
        #"Oakland","state":"CA"#, #"Boise","state":"ID"#, #"Moscow","state":"ID"#,
        #"Portland","state":"OR"#, #"Salem","state":"OR"#, #"Seattle","state":"WA"#,
        #"Tacoma","state":"WA"#, #"Laramie","state":"WY"#, #"Casper","state":"WY"#,
    ]
    /// 1,000, its square root, the square root of that, and so on.
    private let factors: [Double]

    init() {
        var factor = 1_000.0
        factors = (0..<24).map { _ in
            defer { factor = factor.squareRoot() }
            return factor
        }
    }

    /// A price between 1 and 1,000,000, in cents, with every number of digits equally likely. It uses
    /// products and square roots because these are rounded the same on every machine, which logarithms are
    /// not.
    func price(_ random: inout EventRandom) -> UInt64 {
        var price = 100.0
        var bits = random.next()
        for factor in factors {
            if bits & 1 == 1 { price *= factor }
            bits >>= 1
        }
        return UInt64(price)
    }

    /// A person's properties from the middle of `name` to the middle of `state`.
    func addPerson(_ random: inout EventRandom, to buffer: inout [UInt8]) {
        EventText.add(Self.pick(firstNames, &random), to: &buffer)
        buffer.append(UInt8(ascii: " "))
        EventText.add(Self.pick(lastNames, &random), to: &buffer)
        EventText.add(#"","email_address":""#, to: &buffer)
        Self.addRun(7, from: UInt8(ascii: "a"), &random, to: &buffer)
        buffer.append(UInt8(ascii: "@"))
        Self.addRun(5, from: UInt8(ascii: "a"), &random, to: &buffer)
        EventText.add(#".com","credit_card":""#, to: &buffer)
        for group in 0..<4 {
            if group > 0 { buffer.append(UInt8(ascii: " ")) }
            EventText.add(1_000 + random.below(9_000), to: &buffer)
        }
        EventText.add(#"","city":""#, to: &buffer)
        EventText.add(Self.pick(places, &random), to: &buffer)
    }

    private static func pick(
        _ texts: [StaticString], _ random: inout EventRandom
    ) -> StaticString {
        texts[Int(random.below(UInt64(texts.count)))]
    }

    /// Lower-case letters with occasional spaces.
    func addWords(
        _ lengths: ClosedRange<UInt64>, _ random: inout EventRandom, to buffer: inout [UInt8]
    ) {
        for _ in 0..<Self.length(lengths, &random) {
            let letter = UInt8(random.below(28))
            buffer.append(letter < 26 ? UInt8(ascii: "a") + letter : UInt8(ascii: " "))
        }
    }

    /// Runs of lower-case letters, and runs of capitals and punctuation, including backslashes.
    func addExtra(
        _ lengths: ClosedRange<UInt64>, _ random: inout EventRandom, to buffer: inout [UInt8]
    ) {
        var left = Self.length(lengths, &random)
        while left > 0 {
            let die = random.below(16)
            let run = min(left, Int(4 + die / 2))
            let first = die % 2 == 0 ? UInt8(ascii: "a") : UInt8(ascii: "H")
            Self.addRun(run, from: first, &random, to: &buffer)
            left -= run
        }
    }

    private static func length(
        _ lengths: ClosedRange<UInt64>, _ random: inout EventRandom
    ) -> Int {
        Int(lengths.lowerBound + random.below(lengths.upperBound - lengths.lowerBound + 1))
    }

    /// A run of characters drawn from 26 consecutive ones, escaped for JSON.
    static func addRun(
        _ count: Int, from first: UInt8, _ random: inout EventRandom, to buffer: inout [UInt8]
    ) {
        var left = count
        while left > 0 {
            var bits = random.next()
            for _ in 0..<min(left, 8) {
                let character = first + UInt8(((bits & 0xFF) * 26) >> 8)
                if character == UInt8(ascii: "\\") { buffer.append(character) }
                buffer.append(character)
                bits >>= 8
            }
            left -= 8
        }
    }
}

/// The channels of bids, each with its URL.
struct NexmarkChannels: Sendable {
    private var bytes: [UInt8] = []
    private var ends: [Int] = [0]
    private static let large: [StaticString] = ["Google", "Facebook", "Baidu", "Apple"]
    private static let small: UInt64 = 10_000

    init(_ random: inout EventRandom) {
        for name in Self.large {
            addChannel { EventText.add(name, to: &$0) }
            addAddress(&random)
        }
        for number in 0..<Self.small {
            addChannel { bytes in
                EventText.add("channel-", to: &bytes)
                EventText.add(number, to: &bytes)
            }
            addAddress(&random, hasID: random.below(10) > 0)
        }
    }

    private mutating func addChannel(_ name: (inout [UInt8]) -> Void) {
        EventText.add(#","channel":""#, to: &bytes)
        name(&bytes)
        EventText.add(#"","url":"https://www.nexmark.com"#, to: &bytes)
    }

    private mutating func addAddress(_ random: inout EventRandom, hasID: Bool = false) {
        for _ in 0..<3 {
            bytes.append(UInt8(ascii: "/"))
            let letters = 3 + Int(random.below(3))
            NexmarkTexts.addRun(letters, from: UInt8(ascii: "a"), &random, to: &bytes)
        }
        EventText.add("/item.htm?query=1", to: &bytes)
        if hasID {
            EventText.add("&channel_id=", to: &bytes)
            // A few are negative, as in Nexmark's own events.
            if random.below(1_000) == 0 { bytes.append(UInt8(ascii: "-")) }
            EventText.add(random.below(1 << 31), to: &bytes)
        }
        bytes.append(UInt8(ascii: "\""))
        ends.append(bytes.count)
    }

    /// One of the four large channels for half of the bids, one of the small channels for the others.
    func add(_ random: inout EventRandom, to buffer: inout [UInt8]) {
        let die = random.next()
        let large = UInt64(Self.large.count)
        let number = die & 1 == 0 ? (die >> 32) % large : large + random.below(Self.small)
        let place = Int(number)
        buffer += bytes[ends[place]..<ends[place + 1]]
    }
}
