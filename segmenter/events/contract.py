"""The event contract: which fields an event has and which column of a log carries each.

What lives here: the fields, the usual names of their columns, and the choice of columns for one
log. How values are read is `segmenter.events.cleaning`; from which files,
`segmenter.events.sources`.
"""

import difflib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from segmenter.errors import ColumnError

Kind = Literal["text", "number"]

REQUIRED = ("user", "event", "time")
CATEGORICAL = ("event", "item", "category", "currency", "session", "order")
GROUPING = ("session", "order")
"""Categorical fields whose values only say which events of a user belong together."""
NUMERIC = ("value", "quantity")
FIELDS = ("user", "time", "seq", "event", *CATEGORICAL[1:], *NUMERIC, "consent")
"""Every field of the contract, in the order in which they are stored and shown."""

ALIASES: dict[str, tuple[str, ...]] = {
    "user": (
        "userid",
        "customerid",
        "clientid",
        "visitorid",
        "memberid",
        "householdid",
        "userpseudoid",
        "anonymousid",
        "uid",
    ),
    "time": ("timestamp", "eventtime", "eventtimestamp", "datetime", "occurredat", "ts"),
    "seq": ("sequence", "sequencenumber", "batcheventindex"),
    "event": ("eventtype", "eventname", "action"),
    "item": ("itemid", "productid", "contentid", "sku"),
    "category": ("itemcategory", "productcategory", "contentcategory"),
    "currency": ("currencycode",),
    "session": ("sessionid", "visitid", "gasessionid"),
    "order": ("orderid", "transactionid", "basketid", "invoiceid"),
    "value": ("amount", "revenue", "eventvalue"),
    "quantity": ("qty", "units"),
    "consent": ("adsconsent", "adconsent", "marketingconsent", "adsstorage"),
}
"""Usual column names per field, lower case without punctuation."""

RESEMBLANCE = {
    "user": ("user", "customer", "client", "visitor", "member", "account", "id"),
    "event": ("event", "action", "type", "name", "activity"),
    "time": ("time", "date", "ts", "day", "when", "at"),
}
"""Parts of a name by which a column is proposed for a missing field, best first."""


@dataclass(frozen=True)
class ColumnMapping:
    """What the caller says about the columns of a log.

    Attributes
    ----------
    columns
        Field name to column name; such a choice wins over every name that would fit by itself.
    extras
        Further columns to keep; ``name:text`` or ``name:number`` fixes how one is read.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    extras: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """Which column carries which field of one log.

    Attributes
    ----------
    columns
        Field name to column name, in the order of `FIELDS`, extras last under their own name.
    kinds
        Field name to ``"text"`` or ``"number"`` for the extra columns.
    ignored
        Columns of the log that are not read.
    """

    columns: dict[str, str]
    kinds: dict[str, Kind]
    ignored: tuple[str, ...]

    @property
    def categorical(self) -> tuple[str, ...]:
        """Fields whose values are texts with a vocabulary."""
        texts = [name for name, kind in self.kinds.items() if kind == "text"]
        return (*(name for name in CATEGORICAL if name in self.columns), *texts)

    @property
    def numeric(self) -> tuple[str, ...]:
        """Fields whose values are numbers."""
        numbers = [name for name, kind in self.kinds.items() if kind == "number"]
        return (*(name for name in NUMERIC if name in self.columns), *numbers)

    @property
    def coded(self) -> tuple[str, ...]:
        """Categorical fields whose vocabulary is ordered by frequency: all but `grouping`."""
        return tuple(name for name in self.categorical if name not in GROUPING)

    @property
    def grouping(self) -> tuple[str, ...]:
        """Categorical fields that only say which events of a user belong together."""
        return tuple(name for name in GROUPING if name in self.columns)

    def to_json(self) -> dict[str, Any]:
        """Plain form for a manifest."""
        return {
            "columns": dict(self.columns),
            "kinds": dict(self.kinds),
            "ignored": list(self.ignored),
        }


def plain_name(column: str) -> str:
    """A column name without case and punctuation, the form in which names are compared."""
    return "".join(letter for letter in column.lower() if letter.isalnum())


def choose_columns(
    columns: Sequence[str], mapping: ColumnMapping, *, kind_of: Mapping[str, Kind]
) -> Layout:
    """Decide which column carries which field.

    A column named exactly like a field is taken for it; otherwise the one column that bears a
    usual name. What the caller says wins over both.

    Parameters
    ----------
    columns
        Column names of the log.
    mapping
        What the caller says.
    kind_of
        How each column would be read if it were kept as an extra.

    Returns
    -------
    Layout
        The choice, and the columns that it leaves unread.

    Raises
    ------
    ColumnError
        If a required field has no column, a field has two, a named column does not exist, or one
        column is named for two purposes.
    """
    _check_known(mapping)
    taken = dict(mapping.columns)
    for name, column in taken.items():
        _check_exists(column, columns, option=f"--{name}")
    extras = dict(_read_extra(extra, columns) for extra in mapping.extras)
    _check_single_use([*taken.items(), *(("extra", name) for name in extras)])
    free = [column for column in columns if column not in {*taken.values(), *extras}]
    found = {name: taken.get(name) or _fitting_column(name, free) for name in FIELDS}
    chosen = {name: column for name, column in found.items() if column is not None}
    for name in REQUIRED:
        if name not in chosen:
            raise ColumnError(_missing_message(name, columns, used=set(chosen.values())))
    kinds = {name: said or kind_of[name] for name, said in extras.items()}
    ordered = chosen | {name: name for name in kinds}
    ignored = tuple(column for column in columns if column not in ordered.values())
    return Layout(ordered, kinds, ignored)


def _check_known(mapping: ColumnMapping) -> None:
    for name in mapping.columns:
        if name not in FIELDS:
            message = f"the event contract has no field {name}; its fields are {_listed(FIELDS)}"
            raise ColumnError(message)


def _check_exists(column: str, columns: Sequence[str], *, option: str) -> None:
    if column in columns:
        return
    near = difflib.get_close_matches(column, columns, n=1)
    hint = f"; did you mean {option} {_quoted(near[0])}?" if near else ""
    message = f"no column {column} for {option}; found columns {_listed(columns)}{hint}"
    raise ColumnError(message)


def _check_single_use(taken: Sequence[tuple[str, str]]) -> None:
    owner: dict[str, str] = {}
    for name, column in taken:
        if column in owner:
            message = (
                f"column {column} is named for both --{owner[column]} and --{name}; "
                "name it for one of them"
            )
            raise ColumnError(message)
        owner[column] = name


def _fitting_column(name: str, free: Sequence[str]) -> str | None:
    """The column for a field by its name alone, or None."""
    if name in free:
        return name
    fitting = [column for column in free if plain_name(column) in (name, *ALIASES[name])]
    if len(fitting) > 1:
        message = (
            f"columns {_listed(fitting)} could each be the {name}; "
            f"choose one, for example --{name} {_quoted(fitting[0])}"
        )
        raise ColumnError(message)
    return fitting[0] if fitting else None


def _read_extra(extra: str, columns: Sequence[str]) -> tuple[str, Kind | None]:
    """Column and kind of ``name``, ``name:text`` or ``name:number``."""
    name, _, said = extra.rpartition(":")
    kind: Kind | None = "text" if said == "text" else "number" if said == "number" else None
    if kind is None or extra in columns:
        name, kind = extra, None
    _check_exists(name, columns, option="--extra")
    if name in FIELDS:
        message = f"--extra {name}: the contract has a field of that name; pass --{name} {name}"
        raise ColumnError(message)
    return name, kind


def _missing_message(name: str, columns: Sequence[str], *, used: set[str]) -> str:
    free = [column for column in columns if column not in used]
    article = "an" if name[0] in "aeio" else "a"
    return (
        f"event log must have {article} {name} column; found columns {_listed(columns)}; "
        f"pass --{name} {_proposal(name, free)}"
    )


def _proposal(name: str, free: Sequence[str]) -> str:
    for part in RESEMBLANCE[name]:
        for column in free:
            if part in plain_name(column):
                return _quoted(column)
    return "COLUMN"


def _quoted(column: str) -> str:
    """As it is typed in a shell."""
    return column if column.isidentifier() else shlex.quote(column)


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    rest = f" and {len(shown) - 30} more" if len(shown) > 30 else ""
    return ", ".join(shown[:30]) + rest
