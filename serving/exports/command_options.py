"""Options that the commands of exports share."""

from pathlib import Path
from typing import Annotated

import typer

NAMES = (
    *("google-data-manager", "google-ads-csv", "google-ads-api", "dv360", "meta", "tiktok"),
    *("tiktok-api", "linkedin", "linkedin-csv", "pinterest", "snap", "x", "reddit"),
    *("microsoft", "amazon", "the-trade-desk", "uid2", "liveramp", "yahoo", "criteo"),
    *("spotify", "generic-csv", "webhook"),
)
"""Destinations, for the help, which must not wait for them; a test compares."""

MINIMUM_AGE = 18
MINIMUM_PEOPLE = 100
LEDGER = "ledger.db"

Scores = Annotated[Path, typer.Option("--scores", help="Folder of `segmenter score`.")]
Identities = Annotated[
    Path,
    typer.Option(
        "--identities",
        help="Parquet or CSV: user_id and any of email, phone, first_name, last_name, street, "
        "city, state, postal_code, country, idfa, aaid, ..., consent, tcf_string, gpp_string, "
        "age, value.",
    ),
]
To = Annotated[
    list[str], typer.Option("--to", help=f"Destination, again for more: {', '.join(NAMES)}.")
]
Segments = Annotated[
    str | None, typer.Option("--segments", help="Ids, as in 1,4; left out, every segment.")
]
Suppress = Annotated[
    list[Path] | None,
    typer.Option("--suppress", help="File of raw or hashed ids to leave out; repeatable."),
]
MinStrength = Annotated[
    float, typer.Option("--min-strength", help="Least strength of membership, 0 to 1.")
]
DefaultCountry = Annotated[
    str | None,
    typer.Option("--default-country", help="Two letters, where a country is not known."),
]
SilenceIsConsent = Annotated[
    str | None,
    typer.Option(
        "--silence-is-consent",
        help="Countries where a person without any signal may be exported, as in US,CA.",
    ),
]
TcfVendor = Annotated[
    list[str] | None,
    typer.Option("--tcf-vendor", help="Number of a vendor, DESTINATION=NUMBER; repeatable."),
]
MinimumAge = Annotated[
    int, typer.Option("--minimum-age", help="People known to be younger are left out.")
]
MinimumPeople = Annotated[
    int, typer.Option("--minimum-people", help="Least number of people, 100 or more.")
]
Level = Annotated[
    str, typer.Option("--level", help="What --segments are: macro, segment or micro.")
]
SegmentFlags = Annotated[
    Path | None,
    typer.Option("--segment-flags", help="Table of segment_id, sensitive, evidence."),
]
Holdout = Annotated[
    float | None,
    typer.Option("--holdout", help="Share of users whom nothing is sent to, drawn by the ledger."),
]
LedgerFile = Annotated[
    Path | None,
    typer.Option("--ledger", help=f"Ledger of deliveries; left out, {LEDGER} beside --out."),
]
KnownLedger = Annotated[Path, typer.Option("--ledger", help="Ledger of deliveries.")]
Deliver = Annotated[
    list[str] | None,
    typer.Option(
        "--deliver",
        help="Post the payloads to DESTINATION=https://HOST; repeatable. The secret is "
        "SEGMENTER_TOKEN_DESTINATION or SEGMENTER_TOKEN of the environment.",
    ),
]
