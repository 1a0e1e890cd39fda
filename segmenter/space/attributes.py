"""What is known of users besides their embedding, in the forms that the geometry asks for."""

from dataclasses import dataclass

import numpy as np

from segmenter.errors import SpaceError
from segmenter.validity.baselines import quantile_cells

N_BANDS = 4
"""Bands of equal size in which a number is told where groups are compared."""
MAX_VALUES = 50
"""A text with more different values is a name, not a group."""


@dataclass(frozen=True)
class Attribute:
    """One attribute of users.

    Attributes
    ----------
    name
        Of the attribute.
    targets
        float64 [n, c], what a probe is to read: one column of 0 and 1 per value, or the number.
    codes
        int64 [n], group of each user: the value, or the band of the number.
    labels
        Of the groups, by code.
    is_number
        Whether the attribute is a number.
    """

    name: str
    targets: np.ndarray
    codes: np.ndarray
    labels: tuple[str, ...]
    is_number: bool


def encode_attribute(name: str, values: np.ndarray) -> Attribute:
    """Read one attribute.

    Parameters
    ----------
    name
        Of the attribute.
    values
        [n] numbers, or booleans or texts, which are groups. None may be missing.

    Raises
    ------
    SpaceError
        If all values are the same, a number is not finite, or a text has too many values.
    """
    is_number = values.dtype.kind in "iuf"
    if is_number:
        numbers = values.astype(np.float64)
        if not np.isfinite(numbers).all():
            message = f"attribute {name} must be known of everybody; found missing numbers"
            raise SpaceError(message)
        codes, labels = _bands(numbers)
    else:
        found, codes = np.unique(values.astype(str), return_inverse=True)
        labels = tuple(found.tolist())
    if not 1 < len(labels) <= MAX_VALUES:
        message = (
            f"attribute {name} must have 2 to {MAX_VALUES} values or be a number that varies; "
            f"found {len(labels)}"
        )
        raise SpaceError(message)
    targets = numbers[:, None] if is_number else np.eye(len(labels))[codes]
    return Attribute(name, targets, codes, labels, is_number)


def _bands(numbers: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Bands of about equal size and what they are called."""
    _, codes = np.unique(quantile_cells(numbers, N_BANDS), return_inverse=True)
    ranges = [numbers[codes == code] for code in range(int(codes.max()) + 1)]
    return codes, tuple(f"{inside.min():g} to {inside.max():g}" for inside in ranges)
