"""Bounds of the values of an event, for what reads logs and for what reads single requests."""

LARGEST = 3.4028234663852886e38
"""Greatest number of single precision, in which models calculate."""
FARTHEST = 253_402_300_800_000_000
"""Year 10000 in microseconds; what lies beyond it is no time."""
EARLIEST = -2_208_988_800_000_000
"""Year 1900: a text that reads as an earlier time was misread (the year 24 for 2024)."""
