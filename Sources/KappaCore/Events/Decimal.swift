/// An exact decimal number: `mantissa × 10^-scale`.
///
/// Always normalised: no trailing zero in the mantissa unless the scale is zero, so equal numbers
/// are equal values.
public struct Decimal: Hashable, Sendable {
    public private(set) var mantissa: Int128
    /// Digits after the point, 0 … 38.
    public private(set) var scale: Int

    /// `mantissa × 10^-scale`, normalised.
    public init(mantissa: Int128, scale: Int) {
        self.mantissa = mantissa
        self.scale = scale
        while self.scale > 0, self.mantissa % 10 == 0 {
            self.mantissa /= 10
            self.scale -= 1
        }
    }
}
