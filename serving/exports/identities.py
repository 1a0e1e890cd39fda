"""The identity table: user_id to what destinations look for, consent and age.

What lives here: which columns are read, in batches. What they mean lives in `people` and
`consent`.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from segmenter.errors import ColumnError, SourceError
from serving.exports.ages import AGE_COLUMNS
from serving.exports.consent.decision import consent_columns
from serving.exports.control_group import VALUE_COLUMN
from serving.exports.destination import Destination
from serving.exports.destinations import DESTINATIONS
from serving.exports.people import IDENTITY_COLUMNS

BATCH_ROWS = 250_000
BLOCK_BYTES = 16 << 20
LIMITED_COLUMN = "limited_data_use"
SUPPRESSION_COLUMNS = frozenset({"email", "phone", "country", "device_id", "idfa", "aaid"})
"""Read for every destination, since a suppression list may name people by them."""

SYNONYMS = {
    "user": "user_id",
    "userid": "user_id",
    "customer_id": "user_id",
    "e_mail": "email",
    "email_address": "email",
    "mail": "email",
    "phone_number": "phone",
    "mobile": "phone",
    "mobile_phone": "phone",
    "telephone": "phone",
    "firstname": "first_name",
    "given_name": "first_name",
    "lastname": "last_name",
    "surname": "last_name",
    "family_name": "last_name",
    "address": "street",
    "address1": "street",
    "address_1": "street",
    "address2": "street_2",
    "address_2": "street_2",
    "region": "state",
    "zip": "postal_code",
    "zipcode": "postal_code",
    "zip_code": "postal_code",
    "postcode": "postal_code",
    "country_code": "country",
    "gaid": "aaid",
    "maid": "device_id",
    "mobile_ad_id": "device_id",
    "date_of_birth": "birth_date",
    "dob": "birth_date",
    "tcf": "tcf_string",
    "tc_string": "tcf_string",
    "gpp": "gpp_string",
    "ldu": "limited_data_use",
    "title": "job_title",
    "lifetime_value": "value",
    "customer_value": "value",
    "ltv": "value",
    "clv": "value",
}
"""Other names of columns, in small letters with underscores."""


def wanted_columns(destinations: Iterable[Destination]) -> list[str]:
    """Columns of an identity table that matter to destinations, in a fixed order."""
    chosen = list(destinations)
    sources = {source for one in chosen for source in one.sources}
    if "device" in sources:
        sources |= {"device_id", "idfa", "aaid"}
    sources |= SUPPRESSION_COLUMNS
    consent = [name for one in chosen for name in consent_columns(one)]
    known = [name for name in IDENTITY_COLUMNS if name in sources or name == "user_id"]
    return list(dict.fromkeys([*known, *consent, *AGE_COLUMNS, LIMITED_COLUMN, VALUE_COLUMN]))


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
        Those that are read, by the names that an export knows them by.
    ignored
        Names of columns that look like consent or age and are not read.

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
            found = self._header()
        except (OSError, ValueError, pa.ArrowException, pl.exceptions.PolarsError):
            # The library's own message may show a row, and so would a traceback.
            message = f"cannot read --identities {path}; pass a Parquet or CSV file with a header"
            raise SourceError(message) from None
        wanted = wanted_columns(destinations)
        known = {_known_as(name): name for name in reversed(found)}
        self._names = {name: known[name] for name in wanted if name in known}
        self.columns = list(self._names)
        self.ignored = [name for name in known if _is_telling(name) and name not in wanted]
        if "user_id" not in self.columns or len(self.columns) < 2:
            # Without a header the first person stands in place of the names: none is repeated.
            message = (
                "the identity table must have a header with user_id and one of "
                f"{', '.join(wanted[1:8])}, ...; of its {len(found)} columns "
                f"{', '.join(self.columns) or 'none'} is known; rename them"
            )
            raise ColumnError(message)

    def batches(self) -> Iterator[pl.DataFrame]:
        """The table in order, as text, a bounded number of rows at a time."""
        columns = [pl.col(own).cast(pl.String).alias(name) for name, own in self._names.items()]
        read = self._parquet if self._is_parquet else self._csv
        try:
            for rows in read():
                yield rows.select(columns)
        except (OSError, ValueError, pa.ArrowException, pl.exceptions.PolarsError):
            message = f"cannot read {self.path}: it is damaged, or a line has too many columns"
            raise SourceError(message) from None

    def rows_of(self, users: pl.Series) -> Iterator[pl.DataFrame]:
        """Rows of some users alone, as text, a bounded number of rows at a time."""
        wanted = pl.col("user_id").is_in(users.implode())
        if not self._is_parquet:
            yield from (rows.filter(wanted) for rows in self.batches())
            return
        columns = [pl.col(own).cast(pl.String).alias(name) for name, own in self._names.items()]
        try:
            yield pl.scan_parquet(self.path).select(columns).filter(wanted).collect()
        except (OSError, pl.exceptions.PolarsError):
            message = f"cannot read {self.path}: it is damaged"
            raise SourceError(message) from None

    @property
    def _is_parquet(self) -> bool:
        return self.path.suffix == ".parquet"

    def _header(self) -> list[str]:
        if self._is_parquet:
            return [str(name) for name in pq.read_schema(self.path).names]
        with self.path.open(encoding="utf-8-sig", newline="") as opened:
            return next(csv.reader(opened), [])

    def _parquet(self) -> Iterator[pl.DataFrame]:
        table = pl.scan_parquet(self.path).select(self._names.values())
        for start in range(0, pq.read_metadata(self.path).num_rows, BATCH_ROWS):
            yield table.slice(start, BATCH_ROWS).collect()

    def _csv(self) -> Iterator[pl.DataFrame]:
        names = list(self._names.values())
        options = pc.ConvertOptions(
            include_columns=names,
            column_types=dict.fromkeys(names, pa.large_string()),
            strings_can_be_null=True,
            null_values=[""],
        )
        reading = pc.ReadOptions(use_threads=False, block_size=BLOCK_BYTES)
        parsing = pc.ParseOptions(newlines_in_values=True)
        with pc.open_csv(
            self.path, read_options=reading, parse_options=parsing, convert_options=options
        ) as reader:
            for batch in reader:
                yield pl.DataFrame(pl.from_arrow(pa.Table.from_batches([batch])))


def _known_as(name: str) -> str:
    """A column's name in small letters with underscores, or what it is a synonym of."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")
    return SYNONYMS.get(plain, plain)


def _is_telling(name: str) -> bool:
    """Whether a column that is not read should be pointed out, for it may forbid an export."""
    is_of_another = name.startswith("consent_") and name[8:].replace("_", "-") in DESTINATIONS
    return bool(re.search(r"consent|opt_?out|minor|gdpr|ccpa", name)) and not is_of_another
