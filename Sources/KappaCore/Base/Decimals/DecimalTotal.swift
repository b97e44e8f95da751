/// An exact sum of decimals from which numbers can be taken off again. On the way it may need more
/// digits than a decimal has.
struct DecimalTotal {
    /// How many numbers it is of.
    private(set) var count = 0
    /// Most sums stay here: `small × 10^-scale`.
    private var small: Int128 = 0
    private var scale = 0
    /// What did not fit ``small``, in units of 10^-38.
    private var wide: WideInteger?

    mutating func add(_ number: ExactDecimal) {
        count += 1
        add(number.mantissa, number.scale)
    }

    mutating func remove(_ number: ExactDecimal) {
        count -= 1
        if number.mantissa == .min {
            return addWide(WideInteger(magnitude: number.mantissa.magnitude), number.scale)
        }
        add(-number.mantissa, number.scale)
    }

    /// Nil where it needs more than 38 digits.
    var sum: ExactDecimal? {
        wide == nil
            ? ExactDecimal(mantissa: small, scale: scale)
            : ExactDecimal(all, scale: ExactDecimal.maximumScale)
    }

    /// The sum divided by ``count``, which is not zero, as ``ExactDecimal/quotient(_:)``.
    var average: ExactDecimal? {
        let divisor = UInt128(count.magnitude)
        return wide == nil
            ? ExactDecimal.quotient(WideInteger(small), scale: scale, by: divisor)
            : ExactDecimal.quotient(all, scale: ExactDecimal.maximumScale, by: divisor)
    }

    private mutating func add(_ mantissa: Int128, _ newScale: Int) {
        var mantissa = mantissa
        if newScale > scale {
            let power = ExactDecimal.powersOfTen[newScale - scale]
            let (scaled, overflow) = small.multipliedReportingOverflow(by: power)
            if overflow { spill() } else { small = scaled }
            scale = newScale
        } else if newScale < scale {
            let power = ExactDecimal.powersOfTen[scale - newScale]
            let (scaled, overflow) = mantissa.multipliedReportingOverflow(by: power)
            if overflow { return addWide(WideInteger(mantissa), newScale) }
            mantissa = scaled
        }
        let (sum, overflow) = small.addingReportingOverflow(mantissa)
        if overflow {
            spill()
            small = mantissa
        } else {
            small = sum
        }
    }

    private mutating func spill() {
        addWide(WideInteger(small), scale)
        small = 0
    }

    private mutating func addWide(_ number: WideInteger, _ scale: Int) {
        var number = number
        number.multiply(byPowerOfTen: ExactDecimal.maximumScale - scale)
        if let before = wide { number += before }
        wide = number
    }

    private var all: WideInteger {
        var all = WideInteger(small)
        all.multiply(byPowerOfTen: ExactDecimal.maximumScale - scale)
        if let wide { all += wide }
        return all
    }
}
