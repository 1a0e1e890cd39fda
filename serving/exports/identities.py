"""The identity table: user_id to what destinations look for, consent and age.

What lives here: which columns are read, in batches. What they mean lives in `people` and
`consent`.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from segmenter.errors import ColumnError, SourceError
from serving.exports.ages import AGE_COLUMNS
from serving.exports.consent.decision import consent_columns
from serving.exports.destination import Destination
from serving.exports.people import IDENTITY_COLUMNS

BATCH_ROWS = 250_000
LIMITED_COLUMN = "limited_data_use"


def wanted_columns(destinations: Iterable[Destination]) -> list[str]:
    """Columns of an identity table that matter to destinations, in a fixed order."""
    chosen = list(destinations)
    sources = {source for one in chosen for source in one.sources}
    if "device" in sources:
        sources |= {"device_id", "idfa", "aaid"}
    sources |= {
        "country",
        "email",
        "phone",
        "idfa",
        "aaid",
        "device_id",
    }  # suppression reads these
    consent = [name for one in chosen for name in consent_columns(one)]
    known = [name for name in IDENTITY_COLUMNS if name in sources or name == "user_id"]
    return list(dict.fromkeys([*known, *consent, *AGE_COLUMNS, LIMITED_COLUMN]))


class IdentityTable:
    """A Parquet or CSV file with a row for each user.

    Parameters
    ----------
    path
        Of the file.
    destinations
        Whose columns are read; the others are never touched.

    Attributes
    ----------
    columns
        Those that are read.

    Raises
    ------
    SourceError
        If the file cannot be read.
    ColumnError
        If it has no user_id, or nothing else that an export reads.
    """

    def __init__(self, path: Path, destinations: Iterable[Destination]) -> None:
        self.path = path
        try:
            self._table = self._scan()
            found = self._table.collect_schema().names()
        except (OSError, pl.exceptions.PolarsError) as error:
            # The library's own message may show a row.
            message = f"cannot read --identities {path}; pass a Parquet or CSV file with a header"
            raise SourceError(message) from error
        wanted = wanted_columns(destinations)
        self.columns = [name for name in wanted if name in found]
        if "user_id" not in found or len(self.columns) < 2:
            message = (
                "the identity table must have the column user_id and one of "
                f"{', '.join(name for name in wanted[1:8])}, ...; found {', '.join(found)}"
            )
            raise ColumnError(message)

    def batches(self) -> Iterator[pl.DataFrame]:
        """The table in order, as text but for the columns of age."""
        columns = [pl.col(name).cast(pl.String) for name in self.columns]
        try:
            yield from self._table.select(columns).collect_batches(
                chunk_size=BATCH_ROWS, maintain_order=True
            )
        except pl.exceptions.PolarsError as error:
            message = f"cannot read {self.path}: it is damaged or not a table"
            raise SourceError(message) from error

    def _scan(self) -> pl.LazyFrame:
        if self.path.suffix == ".parquet":
            return pl.scan_parquet(self.path)
        return pl.scan_csv(self.path, infer_schema=False)
