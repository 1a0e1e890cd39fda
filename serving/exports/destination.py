"""What a destination is: fields, limits, minimum, policy, and the layout of what is written.

What lives here: the interface. Each destination stands in its own file in `destinations`, with
the clause of the specification that each of its columns comes from.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import polars as pl

from serving.exports.fields import Field

ADD, REMOVE, REPLACE = "add", "remove", "replace"
GRANTED, UNSTATED = "granted", "unstated"
"""Consent of a person: said by a signal, or taken for granted where a setting allows it."""


@dataclass(frozen=True)
class Minimum:
    """How many people a list needs.

    Attributes
    ----------
    refuse
        Fewer are of no use to the platform; None where its documents do not say.
    warn
        Fewer may not be served everywhere.
    clause
        Where the specification says so.
    """

    refuse: int | None
    warn: int
    clause: str


@dataclass(frozen=True)
class Setting:
    """Something of the user's account that the platform wants inside a payload or address.

    Attributes
    ----------
    name
        As ``--set NAME=VALUE`` names it.
    help
        What it is.
    placeholder
        What stands in the payload while it is not given.
    """

    name: str
    help: str
    placeholder: str


@dataclass(frozen=True)
class Order:
    """One audience to be written for one destination.

    Attributes
    ----------
    segment_id, segment_name
        Of the segment.
    as_of
        Seconds since the epoch: of when the scores are.
    action
        ``add``, ``remove`` or ``replace``.
    settings
        Of the destination, by name; complete.
    """

    segment_id: int
    segment_name: str
    as_of: int
    action: str
    settings: Mapping[str, str]


@dataclass(frozen=True)
class WrittenFile:
    """One file of an export.

    Attributes
    ----------
    name
        Of the file, within the folder of its audience.
    n_people
        Rows or members in it.
    n_bytes, sha256
        Of its content.
    method, path
        Request that each line of it is the body of; empty for a file that is uploaded whole.
    n_requests
        Lines that are bodies of requests.
    """

    name: str
    n_people: int
    n_bytes: int
    sha256: str
    method: str = ""
    path: str = ""
    n_requests: int = 0


class Layout(Protocol):
    """How cells become files."""

    def write(
        self, cells: Iterable[pl.DataFrame], order: Order, *, folder: Path, stem: str
    ) -> list[WrittenFile]:
        """Write people to files of a folder; memory grows with a frame, not with their number.

        Parameters
        ----------
        cells
            Frames with a column for each field's id and the columns of `PERSON_COLUMNS`.
        order
            What is written.
        folder
            Where to write.
        stem
            Beginning of every file's name.
        """
        ...  # a protocol has no body


PERSON_COLUMNS = ("_user_id", "_strength", "_country", "_consent", "_tcf", "_gpp", "_limited")
"""Columns beside the fields: ids, strength in [0, 1], country, consent, strings, limited use."""


@dataclass(frozen=True)
class Destination:
    """Where audiences are sent.

    Attributes
    ----------
    name
        As ``--to`` names it.
    title
        For people.
    section
        Of the specification.
    links
        Where the platform says it.
    platforms
        Names of the destination in files of test vectors.
    fields
        In the order in which they are written.
    layout
        How they are written.
    minimum
        People that a list needs.
    match_rate
        Assumed interval of the share of people that the platform finds; an assumption.
    together
        Ids of fields that are of use only all at once.
    settings
        Of the user's account.
    can_replace
        Whether the platform replaces a list as a whole; else a difference has to be sent.
    can_remove
        Whether people can be taken off again by a payload.
    lifetime_days
        Longest membership; None where it has no end.
    tcf_vendor
        Number of the destination in the Global Vendor List of TCF; None where not known.
    gzip
        Whether compressed files are accepted.
    headers
        Of every request, beside those of any JSON.
    requests_per_minute
        That the platform takes; a careful guess where its documents do not say.
    is_sealed
        Whether bodies must be encrypted with a key that only the platform's own client has.
    note
        What a person should know before uploading; empty for nothing.
    """

    name: str
    title: str
    section: str
    links: tuple[str, ...]
    platforms: tuple[str, ...]
    fields: tuple[Field, ...]
    layout: Layout
    minimum: Minimum
    match_rate: tuple[float, float]
    together: tuple[tuple[str, ...], ...] = ()
    settings: tuple[Setting, ...] = ()
    can_replace: bool = False
    can_remove: bool = True
    lifetime_days: int | None = None
    tcf_vendor: int | None = None
    gzip: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    requests_per_minute: int = 300
    is_sealed: bool = False
    note: str = ""
    sources: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", frozenset(one.source for one in self.fields))
