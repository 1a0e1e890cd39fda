"""The control group: users whom nothing is sent to, drawn by salted hash within strata.

What lives here: who is drawn, and that whoever was drawn once keeps the arm. A stratum is a
segment and the tercile of value within it, where values are known. The arm is a person's own
from the first draw on, whatever segment or model comes later.
"""

import hashlib

import numpy as np
import polars as pl

from serving.exports.ledger.keyed import keyed

USER, IS_HELD, SEGMENT, TERCILE = "user", "held", "segment_id", "tercile"
VALUE_COLUMN = "value"


class ControlGroup:
    """Draws arms, and remembers them.

    Parameters
    ----------
    salt
        Of the ledger.
    share
        Of newly seen users who are held out, in (0, 1).
    known
        Users drawn before: `USER`, `IS_HELD`, and more; None for nobody.
    """

    def __init__(self, salt: bytes, share: float, known: pl.DataFrame | None = None) -> None:
        self.salt, self.share = salt, share
        ordered = known.sort(USER) if known is not None else _no_arms()
        self._users = ordered[USER].to_numpy()
        self._held = ordered[IS_HELD].to_numpy()
        self._fresh: list[pl.DataFrame] = []

    @property
    def fresh(self) -> pl.DataFrame:
        """Users drawn for the first time: hash, arm, segment, tercile (0 for no value)."""
        return pl.concat([_no_arms(), *self._fresh])

    def draw(self, people: pl.DataFrame) -> pl.Series:
        """Arms of some people.

        Parameters
        ----------
        people
            Different users: ``user_id``, ``segment_id`` and perhaps `VALUE_COLUMN`.

        Returns
        -------
        polars.Series
            Boolean [n], whether each is held out.
        """
        users = keyed(people["user_id"], self.salt)
        place = np.searchsorted(self._users, users.to_numpy())
        inside = np.minimum(place, max(len(self._users) - 1, 0))
        if len(self._users):
            known = self._users[inside] == users.to_numpy()
            before = np.where(known, self._held[inside], False)  # noqa: FBT003 - an array's value
        else:
            known = before = np.zeros(len(users), dtype=bool)
        table = pl.DataFrame({USER: users, "known": known, "before": before}).with_columns(
            people[SEGMENT].cast(pl.Int32), terciles(people).alias(TERCILE)
        )
        drawn = self._drawn(table.filter(~pl.col("known")))
        if len(drawn):
            self._fresh.append(drawn)
        held = drawn.filter(IS_HELD)[USER].implode()
        return table.select(pl.col("before") | pl.col(USER).is_in(held)).to_series()

    def _drawn(self, newcomers: pl.DataFrame) -> pl.DataFrame:
        """The share of every stratum with the least hashes; fractions of a user by a hash too."""
        strata = newcomers.group_by(SEGMENT, TERCILE).agg(
            pl.len(), pl.col(USER).min().alias("one")
        )
        quota = [
            int(self.share * row["len"] + self._dither(row))
            for row in strata.iter_rows(named=True)
        ]
        ranked = newcomers.join(
            strata.with_columns(quota=pl.Series(quota, dtype=pl.Int64)), on=[SEGMENT, TERCILE]
        ).with_columns(pl.col(USER).rank("ordinal").over(SEGMENT, TERCILE).alias("rank"))
        held = (pl.col("rank") <= pl.col("quota")).alias(IS_HELD)
        return ranked.select(USER, held, SEGMENT, TERCILE).sort(USER)

    def _dither(self, stratum: dict[str, int]) -> float:
        """A number in [0, 1) that depends on the salt, the stratum and who is in it."""
        text = f"{self.salt.hex()}:{stratum[SEGMENT]}:{stratum[TERCILE]}:{stratum['one']}"
        return int(hashlib.sha256(text.encode()).hexdigest()[:13], 16) / 16**13


def terciles(people: pl.DataFrame) -> pl.Series:
    """Tercile of value within the segment, 1 to 3; 0 where no value is known."""
    if VALUE_COLUMN not in people.columns:
        return pl.repeat(0, len(people), dtype=pl.Int8, eager=True)
    value = pl.col(VALUE_COLUMN).cast(pl.Float64, strict=False)
    known = pl.when(value.is_finite()).then(value)
    rank = known.rank("ordinal").over(SEGMENT)
    n_known = known.count().over(SEGMENT)
    tercile = ((rank - 1) * 3 // n_known + 1).fill_null(0).cast(pl.Int8)
    return people.select(tercile.alias(TERCILE)).to_series()


def _no_arms() -> pl.DataFrame:
    return pl.DataFrame(
        schema={USER: pl.UInt64, IS_HELD: pl.Boolean, SEGMENT: pl.Int32, TERCILE: pl.Int8}
    )
