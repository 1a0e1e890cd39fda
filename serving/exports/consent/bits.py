"""Bits of the strings of TCF and GPP, read one after another."""

from dataclasses import dataclass

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
VALUES = {letter: number for number, letter in enumerate(ALPHABET)}


class BitsError(ValueError):
    """A string ends too early or has a character that stands for no bits."""


@dataclass
class Bits:
    """A string of bits and how far it is read.

    Attributes
    ----------
    value
        All bits as one number, the first bit the greatest.
    n_bits
        How many there are.
    position
        How many are read.
    """

    value: int
    n_bits: int
    position: int = 0

    def number(self, n_bits: int) -> int:
        """The next bits as a number.

        Raises
        ------
        BitsError
            If fewer are left.
        """
        end = self.position + n_bits
        if end > self.n_bits:
            message = f"wanted {n_bits} bits at {self.position} of {self.n_bits}"
            raise BitsError(message)
        self.position = end
        return (self.value >> (self.n_bits - end)) & ((1 << n_bits) - 1)

    def flag(self) -> bool:
        """The next bit."""
        return self.number(1) == 1

    def members(self, n_bits: int) -> frozenset[int]:
        """Numbers, from 1, of the bits that are set among the next ones."""
        field = self.number(n_bits)
        return frozenset(n for n in range(1, n_bits + 1) if field >> (n_bits - n) & 1)

    def fibonacci(self) -> int:
        """The next number in Fibonacci coding, which ends with two set bits."""
        total, weight, following, last = 0, 1, 2, False
        while True:
            bit = self.flag()
            if bit and last:
                return total
            total += weight if bit else 0
            weight, following, last = following, weight + following, bit


def bits_of(text: str) -> Bits:
    """Bits of base64url text without padding, six for each character.

    Raises
    ------
    BitsError
        If a character stands for no bits.
    """
    value = 0
    for letter in text:
        if letter not in VALUES:
            message = f"{letter!r} stands for no bits"
            raise BitsError(message)
        value = value << 6 | VALUES[letter]
    return Bits(value, 6 * len(text))
