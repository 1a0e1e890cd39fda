"""What is kept of one user's history, in a form whose size has a bound.

The newest events are kept as they came. Older ones are *settled*: only what they add up to is
kept, and of those inside the longest look-back window the times and numbers. How a history grows,
and what a model makes of it, stands in `serving.state.keeper`.
"""

import base64
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segmenter.autoencoder.activity import Activity, NumberSums, ValueCounts
from segmenter.errors import StateError

FORM = 1
"""Of the bytes; another one is not read."""
KINDS = {
    "first": torch.int64,
    "last": torch.int64,
    "hours": torch.float32,
    "weekdays": torch.float32,
}
"""Of the sums that are not double precision."""
PARTS = ("known", "total", "deviations", "greatest")


@dataclass(frozen=True)
class Settled:
    """Older events of one user.

    Attributes
    ----------
    reads
        Digest of what the model that settled them reads, see `HistoryKeeper`.
    activity
        Their sums, as a batch of one.
    visit
        Session or order of the last of them.
    times
        int64 [n], microseconds: those inside the longest window at the newest event.
    numbers
        Per numeric field their values, float32 [n].
    """

    reads: str
    activity: Activity
    visit: str | None
    times: np.ndarray
    numbers: dict[str, np.ndarray]


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
        before = 0 if self.settled is None else int(self.settled.activity.n_events)
        return before + len(self.newest["time"])

    def to_bytes(self) -> bytes:
        """For a store."""
        settled = None if self.settled is None else _plain_settled(self.settled)
        return json.dumps({"form": FORM, "newest": self.newest, "settled": settled}).encode()

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
            return cls(plain["newest"], settled)
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


def _plain_settled(settled: Settled) -> dict[str, Any]:
    return {
        "reads": settled.reads,
        "activity": _listed(settled.activity),
        "visit": settled.visit,
        "times": _text_of(settled.times),
        "numbers": {name: _text_of(values) for name, values in settled.numbers.items()},
    }


def _read_settled(plain: dict[str, Any]) -> Settled:
    numbers = {name: _array_of(text, np.float32) for name, text in plain["numbers"].items()}
    return Settled(
        plain["reads"],
        _read_activity(plain["activity"]),
        plain["visit"],
        _array_of(plain["times"], np.int64),
        numbers,
    )


def _listed(value: Any) -> Any:  # noqa: ANN401 - a tree of tensors
    """A tree of tensors as a tree of lists."""
    if isinstance(value, Tensor):
        return value.tolist()
    tree = value if isinstance(value, dict) else vars(value)
    return {name: _listed(one) for name, one in tree.items()}


def _read_activity(plain: dict[str, Any]) -> Activity:
    """Inverse of `_listed`; the kinds of numbers are those of `Activity`."""
    sums = {
        name: torch.tensor(values, dtype=KINDS.get(name, torch.float64))
        for name, values in plain.items()
        if name not in ("numbers", "values")
    }
    numbers = {
        name: NumberSums(*(torch.tensor(one[part], dtype=torch.float64) for part in PARTS))
        for name, one in plain["numbers"].items()
    }
    values = {
        name: ValueCounts(
            torch.tensor(one["owner"], dtype=torch.int64),
            torch.tensor(one["code"], dtype=torch.int64),
            torch.tensor(one["count"], dtype=torch.float32),
        )
        for name, one in plain["values"].items()
    }
    return Activity(**sums, numbers=numbers, values=values)


def _text_of(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode()


def _array_of(text: str, kind: type) -> np.ndarray:
    return np.frombuffer(bytearray(base64.b64decode(text)), dtype=kind)
