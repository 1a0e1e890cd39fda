"""What one audience gains and loses since what its list surely or possibly holds.

What lives here: the comparison of people with the rows of the ledger, part by part, and the rows
that the ledger keeps afterwards. A person whose cells have changed is a leaver in the old form
and an entrant in the new one; an identifier that somebody on the list still has is not taken off.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl
import polars_hash  # noqa: F401 - adds the namespaces of hash functions to polars expressions

from serving.exports.destination import REPLACE, Destination
from serving.exports.ledger.keyed import keyed
from serving.exports.ledger.ledger import Ledger
from serving.exports.ledger.membership import (
    BOOKKEEPING,
    HASH,
    ID,
    OTHERS,
    PLAIN,
    SINCE,
    SURE,
    USER,
    WANTED,
    packed,
)
from serving.exports.off_list import FOUND, findable_in, held_by, is_kept, off_list, with_plain
from serving.exports.plans import Plan, wants
from serving.exports.recall import Recall, cell_hash, plain_hashes

GONE, USERS = "_gone", "_users"
STATED = ("_consent", "_limited")
"""What is sent along with a person: another word of it is sent again."""

REFRESH = 0.75
"""Share of the longest membership after which a person is sent again."""


class Changes:
    """One audience against its list.

    Parameters
    ----------
    ledger, target
        Where the list is kept, and its number; 0 for a new one.
    destination, plan
        What the platform can do, and what is done.
    day
        Of the scores, in days since the epoch.
    recall
        Where plain identifiers of leavers are looked up.
    folder
        For rows that wait for the ledger; made when missing.

    Attributes
    ----------
    n_added, n_removed
        People that are written, once the iterators have ended.
    n_stuck
        People of whom a plain identifier was sent that is not known any more.
    any
        Whether anybody has come or gone, or is not surely where they should be.
    """

    def __init__(
        self,
        place: tuple[Ledger, int],
        destination: Destination,
        plan: Plan,
        *,
        day: int,
        recall: Recall,
        folder: Path,
    ) -> None:
        self.ledger, self.target = place
        self.destination, self.plan, self.day, self.folder = destination, plan, day, folder
        self.recall = recall
        folder.mkdir(parents=True)
        self.n_added = self.n_removed = self.n_stuck = self.n_parts = 0
        self.any = self._any_gone = False
        self._takes_off = plan.takes_off

    def additions(
        self, parts: Iterable[pl.DataFrame | None], n_parts: int
    ) -> Iterator[pl.DataFrame]:
        """People to be written, of all parts in order; what the ledger keeps is put aside."""
        self.n_parts = n_parts
        for number, current in enumerate(parts):
            before = self.ledger.members(self.target, (number, n_parts))
            if current is None and before is None:
                continue
            rows = _empty() if current is None else self._rows(current)
            before = _empty() if before is None else before
            after, sent = self._after(rows, before)
            self.any |= bool(sent.any()) or self._any_gone
            after.write_ipc(self._place(number))
            if current is not None:
                chosen = current if self.plan.whole else current.filter(sent)
                self.n_added += len(chosen)
                if len(chosen):
                    yield chosen

    def refuse(self) -> None:
        """Nobody of the audience is written after all: what is put aside is who leaves."""
        self._takes_off = self.destination.can_remove and not self.plan.keeps
        for number, rows in list(self._aside()):
            before = self.ledger.members(self.target, (number, self.n_parts))
            self._place(number).unlink()
            if before is not None:
                gone = rows.filter(GONE).select(HASH, ID, GONE)
                marked = before.join(gone, on=[HASH, ID], how="left", maintain_order="left")
                off = pl.col(GONE).fill_null(value=False)
                marked.with_columns(
                    off.alias(GONE),
                    (pl.col(SURE) & ~off).alias(SURE),
                    pl.when(off).then(pl.lit(value=False)).alias(WANTED),
                ).write_ipc(self._place(number))

    @property
    def leaves_behind(self) -> bool:
        """Whether people who should go stay, for only a whole new list could take them off."""
        return self._any_gone and not self._takes_off

    def removals(self) -> Iterator[pl.DataFrame]:
        """People to be taken off, by what the ledger and the identity table know of them."""
        if not (self._takes_off and self._any_gone):
            return
        held = held_by(
            self.destination,
            (rows.filter(GONE) for _, rows in self._aside()),
            (rows.filter(~pl.col(GONE)) for _, rows in self._aside()),
        )
        plain = self.recall.plain_cells(
            (rows.filter(GONE) for _, rows in self._aside()), self.destination
        )
        for number, rows in self._aside():
            leavers = rows.filter(GONE)
            if len(leavers):
                known = with_plain(leavers, plain, self.destination)
                self.n_stuck += int((~known[FOUND]).sum())
                findable = findable_in(known, self.destination)
                known.filter(~findable).select(HASH, ID).write_ipc(self._stuck(number))
                frame = off_list(known.filter(findable), self.destination, held)
                self.n_removed += len(frame)
                if len(frame):
                    yield frame

    def parts(self) -> Iterator[tuple[int, int, bytes]]:
        """Rows for the ledger once the delivery is written; who cannot be taken off stays."""
        for number, rows in self._aside():
            kept = rows
            if self._stuck(number).exists():
                stuck = pl.read_ipc(self._stuck(number)).with_columns(_stuck=pl.lit(value=True))
                kept = rows.join(stuck, on=[HASH, ID], how="left")
                stays = pl.col("_stuck").fill_null(value=False) & pl.col(GONE)
                wanted = pl.when(~stays).then(WANTED).alias(WANTED)
                kept = kept.with_columns(wanted).drop("_stuck")
            if len(kept):
                yield number, self.n_parts, packed(kept.drop(GONE).sort(HASH))

    def _rows(self, current: pl.DataFrame) -> pl.DataFrame:
        """Rows of people as the ledger keeps them."""
        names = [field.id for field in self.destination.fields if is_kept(field)]
        plain = plain_hashes(current, self.destination, self.ledger.salt)
        sent = [one.is_not_null().alias(one.name) for one in plain]
        return current.select(
            HASH,
            cell_hash(self.destination),
            keyed(current["_user_id"], self.ledger.salt).alias(USER),
            self._others(current).alias(OTHERS),
            pl.any_horizontal(pl.lit(value=False), *sent).alias(PLAIN),
            *plain,
            *names,
            *("_country", *STATED),
        )

    def _others(self, current: pl.DataFrame) -> pl.Series:
        """Salted hashes of all users who are one person, where they are several."""
        kind = pl.List(pl.UInt64)
        if USERS not in current.columns:
            return pl.repeat(None, len(current), dtype=kind, eager=True)
        single = current.select(pl.int_range(pl.len()).alias("row"), USERS).explode(USERS)
        hashed = single.with_columns(keyed(single[USERS], self.ledger.salt).alias(OTHERS))
        lists = hashed.drop_nulls().group_by("row", maintain_order=True).agg(OTHERS)
        rows = pl.DataFrame({"row": pl.Series(range(len(current)), dtype=lists["row"].dtype)})
        return rows.join(lists, on="row", how="left", maintain_order="left")[OTHERS].cast(kind)

    def _after(self, rows: pl.DataFrame, before: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
        """Rows after the delivery is written, and who of the audience is not surely there."""
        known = rows.join(
            before.select(HASH, ID, SURE, SINCE, *STATED),
            on=[HASH, ID],
            how="left",
            maintain_order="left",
        )
        lifetime = self.destination.lifetime_days
        sure = known[SURE].fill_null(value=False)
        for name in STATED:
            sure &= known[name].eq_missing(known[f"{name}_right"])
        known = known.drop(f"{name}_right" for name in STATED)
        if lifetime is not None:
            sure &= (known[SINCE] > self.day - REFRESH * lifetime).fill_null(value=False)
        stays = sure if wants(self.plan) and self.plan.action != REPLACE else sure & False
        since = known[SINCE].zip_with(
            sure, pl.repeat(self.day, len(known), dtype=pl.Int32, eager=True)
        )
        wanted = pl.lit(wants(self.plan))
        now = known.with_columns(
            stays.alias(SURE),
            since.alias(SINCE),
            wanted.alias(WANTED),
            pl.lit(False).alias(GONE),  # noqa: FBT003 - a value
        )
        gone = before.join(rows, on=[HASH, ID], how="anti")
        if self.plan.keeps:
            left = gone.with_columns(pl.lit(None, pl.Boolean).alias(WANTED), _gone=pl.lit(False))  # noqa: FBT003 - a value
        else:
            self._any_gone |= len(gone) > 0
            left = gone.with_columns(_gone=pl.lit(True)).with_columns(**OFF)  # noqa: FBT003 - a value
        return pl.concat([now, left], how="diagonal"), ~sure

    def _aside(self) -> Iterator[tuple[int, pl.DataFrame]]:
        for number in range(self.n_parts):
            if self._place(number).exists():
                yield number, pl.read_ipc(self._place(number))

    def _place(self, number: int) -> Path:
        return self.folder / f"{number:05d}.ipc"

    def _stuck(self, number: int) -> Path:
        return self.folder / f"{number:05d}-stuck.ipc"


OFF = {SURE: pl.lit(False), WANTED: pl.lit(False)}  # noqa: FBT003 - values


def _empty() -> pl.DataFrame:
    return pl.DataFrame(schema=BOOKKEEPING | {"_consent": pl.String, "_limited": pl.Boolean})
