import CKappaJSON

/// Count, mean and sum of squared distances from the mean, after Welford (1962), in doubles: 24 bytes
/// of a record. Merging follows Chan, Golub and LeVeque (1979).
struct Moments {
    static let size = 24

    let address: UnsafeMutableRawPointer

    @inline(__always)
    var count: Int64 {
        get { address.load(as: Int64.self) }
        nonmutating set { address.storeBytes(of: newValue, as: Int64.self) }
    }
    @inline(__always)
    var mean: Double {
        get { address.load(fromByteOffset: 8, as: Double.self) }
        nonmutating set { address.storeBytes(of: newValue, toByteOffset: 8, as: Double.self) }
    }
    @inline(__always)
    var squares: Double {
        get { address.load(fromByteOffset: 16, as: Double.self) }
        nonmutating set { address.storeBytes(of: newValue, toByteOffset: 16, as: Double.self) }
    }

    func add(_ value: Double) {
        count += 1
        let distance = value - mean
        mean += distance / Double(count)
        squares += distance * (value - mean)
    }

    func merge(_ other: Moments) {
        guard other.count > 0 else { return }
        let total = Double(count + other.count)
        let distance = other.mean - mean
        squares +=
            other.squares + distance * distance * (Double(count) * Double(other.count) / total)
        mean += distance * (Double(other.count) / total)
        count += other.count
    }

    func save(to state: inout StateWriter) {
        state.write(count)
        state.write(mean.bitPattern)
        state.write(squares.bitPattern)
    }

    func load(from state: inout StateReader) throws(KappaError) {
        count = try state.readInteger()
        mean = Double(bitPattern: UInt64(bitPattern: try state.readInteger()))
        squares = Double(bitPattern: UInt64(bitPattern: try state.readInteger()))
    }
}

extension Accumulator {
    func moments(_ record: UnsafeMutableRawPointer) -> Moments {
        Moments(address: record + place)
    }

    func doubleValue(_ column: kj_column, _ row: Int) -> Double { column.doubleValue(row, kind) }

    /// Writes a variance or a standard deviation; null if there are too few values.
    func emitSpread(_ record: UnsafeMutableRawPointer, to sink: inout some CellSink) {
        let isSample = function == .sampleVariance || function == .sampleDeviation
        let moments = moments(record)
        let divisor = moments.count - (isSample ? 1 : 0)
        guard divisor > 0 else { return sink.null() }
        let variance = moments.squares / Double(divisor)
        let isVariance = function == .populationVariance || function == .sampleVariance
        sink.double(isVariance ? variance : variance.squareRoot())
    }
}

extension kj_column {
    /// The number in a row as a double.
    func doubleValue(_ row: Int, _ kind: ColumnKind) -> Double {
        switch kind {
        case .double: doubles[row]
        case .decimal: decimal(row)?.doubleValue ?? 0
        case .bool, .integer, .timestamp, .text, .json: Double(integers[row])
        }
    }
}
