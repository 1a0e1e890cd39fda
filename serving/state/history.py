"""What is kept of one user's history, in a form whose size has a bound.

The newest events are kept as they came. Older ones are *settled*: only what they add up to is
kept, and of those inside the longest look-back window the times and numbers. How a history grows,
and what a model makes of it, stands in `serving.state.keeper`.
"""

import base64
import json
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from segmenter.autoencoder.one_user.sums import HistorySums
from segmenter.errors import StateError

FORM = 1
"""Of the bytes; another one is not read."""


@dataclass(frozen=True)
class Settled:
    """Older events of one user.

    Attributes
    ----------
    reads
        Digest of what the model that settled them reads, see `HistoryKeeper`.
    sums
        What they add up to.
    visit
        Session or order of the last of them.
    times, numbers
        int64 [n] microseconds and float32 [N, n]: of those inside the longest window at the
        newest event, in time order.
    """

    reads: str
    sums: HistorySums
    visit: str | None
    times: np.ndarray
    numbers: np.ndarray


@dataclass(frozen=True)
class KeptHistory:
    """One user's history.

    Attributes
    ----------
    newest
        Field to the values of the newest events, in time order; ``"time"`` in microseconds.
    settled
        What is before them; None where they are all.
    """

    newest: dict[str, list[Any]]
    settled: Settled | None = None

    @property
    def n_events(self) -> int:
        """Events in all."""
        before = 0 if self.settled is None else self.settled.sums.n_events
        return before + len(self.newest["time"])

    def to_bytes(self) -> bytes:
        """For a store."""
        settled = None if self.settled is None else _plain(self.settled)
        newest = {name: _packed_column(name, values) for name, values in self.newest.items()}
        return json.dumps({"form": FORM, "newest": newest, "settled": settled}).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> "KeptHistory":
        """Inverse of `to_bytes`.

        Raises
        ------
        StateError
            If the bytes are of another form.
        """
        try:
            plain = json.loads(content)
            _require_form(plain)
            settled = None if plain["settled"] is None else _read_settled(plain["settled"])
            newest = {name: _unpacked_column(column) for name, column in plain["newest"].items()}
            return cls(newest, settled)
        except (ValueError, KeyError, TypeError) as error:
            message = (
                "what is kept of a user must be of the form that this release writes; found "
                "another; send the whole history with replace"
            )
            raise StateError(message) from error


def _require_form(plain: dict[str, Any]) -> None:
    if plain["form"] != FORM:
        message = f"form {plain['form']}"
        raise ValueError(message)


def _plain(settled: Settled) -> dict[str, Any]:
    """Arrays as texts; an array of numbers says its own shape."""
    sums = {item.name: _packed(getattr(settled.sums, item.name)) for item in fields(settled.sums)}
    return {
        "reads": settled.reads,
        "sums": sums,
        "visit": settled.visit,
        "times": _packed(settled.times),
        "numbers": _packed(settled.numbers),
    }


def _read_settled(plain: dict[str, Any]) -> Settled:
    sums = HistorySums(**{name: _unpacked(value) for name, value in plain["sums"].items()})
    times, numbers = _unpacked(plain["times"]), _unpacked(plain["numbers"])
    return Settled(plain["reads"], sums, plain["visit"], times, numbers)


def _packed_column(name: str, values: list[Any]) -> Any:  # noqa: ANN401 - texts, or packed numbers
    """Times, and numbers among which None is NaN, as bytes; texts as they are."""
    if name == "time":
        return {"int64": _packed(np.array(values, dtype=np.int64))}
    first = next((value for value in values if value is not None), None)
    if isinstance(first, int | float):
        return {"float64": _packed(np.array(values, dtype=np.float64))}
    return values


def _unpacked_column(column: Any) -> list[Any]:  # noqa: ANN401 - as above
    """Inverse of `_packed_column`."""
    if isinstance(column, list):
        return column
    ((kind, packed),) = column.items()
    values: list[Any] = _unpacked(packed).tolist()
    if kind == "float64":
        return [None if value != value else value for value in values]  # noqa: PLR0124 - NaN
    return values


def _packed(value: Any) -> Any:  # noqa: ANN401 - a number or an array
    if not isinstance(value, np.ndarray):
        return int(value)
    content = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
    return [value.dtype.str, list(value.shape), content]


def _unpacked(value: Any) -> Any:  # noqa: ANN401 - as above
    if not isinstance(value, list):
        return value
    kind, shape, content = value
    return np.frombuffer(base64.b64decode(content), dtype=kind).reshape(shape)
