"""Bodies of requests: one JSON document a line, each within the destination's limits.

A line of a file is the exact body of one request; the method and the address stand in the
manifest.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from serving.exports.csv_layout import compressed_writer, written_file
from serving.exports.destination import Order, WrittenFile
from serving.exports.text import json_text

Envelope = Callable[[Order], tuple[str, str]]
"""From an order to what stands before and after the members of a body."""


@dataclass(frozen=True)
class Step:
    """A request that is made once, before or after the bodies with people.

    Attributes
    ----------
    suffix
        Part of the file's name.
    method, path
        Of the request.
    body
        From the order to the document.
    """

    suffix: str
    method: str
    path: str
    body: Callable[[Order], Any]


@dataclass(frozen=True)
class Bodies:
    """One kind of request of a destination.

    Attributes
    ----------
    method, path
        From the action to the request's method and address.
    member
        From the cells and the order to the JSON text of one member of each row; null to leave
        a person out.
    envelope
        What stands around the members.
    max_members, max_bytes
        Of one body; None where there is no limit.
    suffix
        Part of the name that tells it from the destination's other files; empty for the only one.
    separator
        Between members.
    keep
        Which people belong here; everybody where left out.
    before, after
        Requests around them.
    session
        From the order, the number of a body from 1 and whether it is the last to a further key
        and its value; None where bodies stand for themselves.
    is_set
        Whether a body must not have the same member twice.
    """

    method: Callable[[str], str]
    path: Callable[[str], str]
    member: Callable[[pl.DataFrame, Order], pl.Series]
    envelope: Envelope
    max_members: int | None = None
    max_bytes: int | None = None
    suffix: str = ""
    separator: str = ","
    keep: pl.Expr | None = None
    before: tuple[Step, ...] = ()
    after: tuple[Step, ...] = ()
    session: Callable[[Order, int, bool], tuple[str, Any]] | None = None
    is_set: bool = False


class JsonLayout:
    """Bodies of requests of one or several kinds.

    Parameters
    ----------
    kinds
        Requests of the destination; a person may stand in several.
    compressed
        Whether files are written with gzip.
    """

    def __init__(self, *kinds: Bodies, compressed: bool = False) -> None:
        self.kinds, self.compressed = kinds, compressed

    def write(
        self, cells: Iterable[pl.DataFrame], order: Order, *, folder: Path, stem: str
    ) -> list[WrittenFile]:
        """Write the files; see `serving.exports.destination.Layout`."""
        place = folder / stem
        files = [_BodyFile(kind, order, place, compressed=self.compressed) for kind in self.kinds]
        for frame in cells:
            for one in files:
                one.add(frame)
        return [written for one in files for written in one.close()]


@dataclass
class _Pending:
    """Members that do not fill a body yet."""

    texts: list[str] = field(default_factory=list)
    n_bytes: int = 0


class _BodyFile:
    """The growing file of one kind of request."""

    def __init__(self, kind: Bodies, order: Order, place: Path, *, compressed: bool) -> None:
        self.kind, self.order, self.compressed = kind, order, compressed
        self.folder = place.parent
        self.stem = f"{place.name}_{kind.suffix}" if kind.suffix else place.name
        self.path = self.folder / f"{self.stem}.{'jsonl.gz' if compressed else 'jsonl'}"
        self.head, self.tail = kind.envelope(order)
        self.overhead = len((self.head + self.tail).encode())
        self.pending, self.n_people, self.n_requests = _Pending(), 0, 0
        self._held: str | None = None
        self._file: Any = None

    def add(self, frame: pl.DataFrame) -> None:
        """Append the people of a frame; full bodies are written."""
        chosen = frame if self.kind.keep is None else frame.filter(self.kind.keep)
        members = self.kind.member(chosen, self.order).drop_nulls()
        sizes = members.str.len_bytes().to_numpy().astype(np.int64)
        texts = members.to_list()
        start = 0
        while start < len(texts):
            stop = start + self._room(sizes[start:])
            self.pending.texts += texts[start:stop]
            self.pending.n_bytes += int(sizes[start:stop].sum()) + stop - start
            if stop < len(texts) or stop == start:
                self._flush()
            start = stop

    def close(self) -> list[WrittenFile]:
        """Finish the file; nothing is written for nobody."""
        if self.pending.texts:
            self._flush()
        if self._file is None:
            return []
        self._put(is_last=True)
        self._out.close()
        self._file.close()
        action = self.order.action
        request = {
            "method": self.kind.method(action),
            "path": self.kind.path(action),
            "n_requests": self.n_requests,
        }
        own = written_file(self.path, self.n_people, **request)
        return [*self._steps(self.kind.before), own, *self._steps(self.kind.after)]

    def _room(self, sizes: np.ndarray) -> int:
        """How many of the next members the pending body takes."""
        room = len(sizes)
        if self.kind.max_members is not None:
            room = min(room, self.kind.max_members - len(self.pending.texts))
        if self.kind.max_bytes is not None:
            left = self.kind.max_bytes - self.overhead - self.pending.n_bytes
            fits = int(np.searchsorted(np.cumsum(sizes[:room] + 1), left, side="right"))
            room = min(room, fits if self.pending.texts else max(fits, 1))
        return room

    def _flush(self) -> None:
        if self._file is None:
            self._file = self.path.open("wb")
            self._out = compressed_writer(self._file) if self.compressed else self._file
        self._put(is_last=False)
        texts = self.pending.texts
        members = list(dict.fromkeys(texts)) if self.kind.is_set else texts
        self._held = self.head + self.kind.separator.join(members) + self.tail
        self.n_people += len(members)
        self.n_requests += 1
        self.pending = _Pending()

    def _put(self, *, is_last: bool) -> None:
        """Write the body that was held back, since only the next one tells whether it is last."""
        if self._held is None:
            return
        if self.kind.session is not None:
            key, value = self.kind.session(self.order, self.n_requests, is_last)
            self._held = f"{self._held[:-1]},{json.dumps(key)}:{compact(value)}}}"
        self._out.write(self._held.encode() + b"\n")

    def _steps(self, steps: Iterable[Step]) -> Iterator[WrittenFile]:
        for step in steps:
            path = self.folder / f"{self.stem}_{step.suffix}.json"
            path.write_text(compact(step.body(self.order)) + "\n", encoding="utf-8")
            yield written_file(path, 0, method=step.method, path=step.path, n_requests=1)


def compact(value: Any) -> str:  # noqa: ANN401 - anything that JSON can say
    """JSON text without white space, keys in the order given."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def around(document: Any, mark: str = "@members@") -> tuple[str, str]:  # noqa: ANN401
    """What stands before and after the members of a document.

    Parameters
    ----------
    document
        The body, in which the members are the list ``["@members@"]`` or another text `mark`.
    mark
        What stands for the members.
    """
    head, _, tail = compact(document).partition(json.dumps(mark))
    return head, tail


def quoted(name: str) -> pl.Expr:
    """A column without characters that JSON would escape, as a JSON string."""
    return pl.concat_str(pl.lit('"'), pl.col(name), pl.lit('"'))


def object_of(*pairs: tuple[str, pl.Expr]) -> pl.Expr:
    """A JSON object of keys and JSON texts; a null leaves its key out, and nothing gives null."""
    pieces = [pl.concat_str(pl.lit(f"{json.dumps(key)}:"), value) for key, value in pairs]
    inside = pl.concat_str(pieces, separator=",", ignore_nulls=True)
    return pl.when(inside != "").then(pl.concat_str(pl.lit("{"), inside, pl.lit("}")))


def list_of(*values: pl.Expr) -> pl.Expr:
    """A JSON list of JSON texts; a null is left out, and nothing gives null."""
    inside = pl.concat_str(list(values), separator=",", ignore_nulls=True)
    return pl.when(inside != "").then(pl.concat_str(pl.lit("["), inside, pl.lit("]")))


def row_of(*values: pl.Expr) -> pl.Expr:
    """A JSON list with one cell for each value: the empty text for a null."""
    cells = [value.fill_null('""') for value in values]
    return pl.concat_str(pl.lit("["), pl.concat_str(cells, separator=","), pl.lit("]"))


def free_text(name: str) -> pl.Expr:
    """A column of any text as JSON strings."""
    return json_text(pl.col(name))


def rows_of(expression: pl.Expr) -> Callable[[pl.DataFrame, Order], pl.Series]:
    """Members of a body by an expression over the cells."""
    return lambda frame, _: frame.select(expression.alias("member")).to_series()
