package collector

import "hash/crc32"

// joinChecksums is the CRC-32 of two texts one after the other, with the shift of the second. A
// checksum is a polynomial over one bit: what stands behind it multiplies it.
func joinChecksums(first, second, shift uint32) uint32 { return multiply(first, shift) ^ second }

// shiftOf is by what n bytes behind a checksum multiply it: x^8n.
func shiftOf(n int) uint32 {
	const one, x8 = 1 << 31, 1 << 23 // the highest bit is the lowest power
	shift := uint32(one)
	for power := uint32(x8); n > 0; n >>= 1 {
		if n&1 != 0 {
			shift = multiply(shift, power)
		}
		power = multiply(power, power)
	}
	return shift
}

// multiply multiplies polynomials modulo that of the CRC-32.
func multiply(a, b uint32) (product uint32) {
	for ; a != 0; a <<= 1 {
		if a&(1<<31) != 0 {
			product ^= b
		}
		overflow := b & 1
		b = b>>1 ^ overflow*crc32.IEEE
	}
	return product
}
