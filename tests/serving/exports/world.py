"""A small world in plain Python: users, what they consent to, and platforms that take payloads."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from serving.exports.audiences import Rules
from serving.exports.destinations import DESTINATIONS
from serving.exports.export import Export
from serving.exports.ledger.ledger import Ledger
from serving.exports.options import with_ledger
from serving.exports.scores import chosen_segments, open_scores
from tests.serving.exports.scored import AS_OF, write_scores


@dataclass
class User:
    """What is known of one user."""

    email: str
    device: str | None = None
    segment: int | None = 1
    consents: bool = True


@dataclass
class World:
    """Users, and their scores and identities as files."""

    folder: Path
    users: dict[str, User]
    n_written: int = 0

    def write(self) -> tuple[Path, Path]:
        """Scores and identities of now."""
        self.n_written += 1
        place = self.folder / f"{self.n_written:03d}"
        rows = [
            {"user_id": name, "segment_id": one.segment, "strength": 0.5}
            for name, one in self.users.items()
        ]
        schema = {"user_id": pl.String, "segment_id": pl.Int32, "strength": pl.Float32}
        members = pl.DataFrame(rows, schema=schema).with_columns(
            second_segment_id=pl.lit(None, pl.Int32)
        )
        write_scores(place / "scores", members)
        people = [
            {
                "user_id": name,
                "email": one.email,
                "aaid": one.device,
                "consent": "yes" if one.consents else "no",
            }
            for name, one in self.users.items()
        ]
        pl.DataFrame(people, schema_overrides={"aaid": pl.String}).write_parquet(
            place / "people.parquet"
        )
        return place / "scores", place / "people.parquet"

    def job(self, ledger: Ledger, *names: str, share: float | None = None, **more) -> Export:
        """An export of segment 1 as things stand."""
        scores, people = self.write()
        opened = open_scores(scores)
        rules = Rules(min_strength=0.0, minimum_age=18, moment=AS_OF)
        options = {
            "scores": opened,
            "identities": people,
            "segments": tuple(chosen_segments(opened, "1")),
            "destinations": tuple(DESTINATIONS[name] for name in names),
            "rules": with_ledger(rules, ledger, share, keep=True),
            "ledger": ledger,
            "floor": 1,
        }
        return Export(**options | more)


@dataclass
class Platform:
    """What a platform knows of one list: digests, and how often each was put on it anew."""

    people: set[str] = field(default_factory=set)
    n_requests: int = 0

    def take(self, path: Path, lines: slice = slice(None)) -> None:
        """Take the requests of a file of Criteo, or of some of its lines; or a file of Spotify."""
        if "spotify" in path.name:
            if "_devices" not in path.name:
                self.people = set(path.read_text().split())
            return
        for line in path.read_text().splitlines()[lines]:
            attributes = json.loads(line)["data"]["attributes"]
            some = set(attributes["identifiers"])
            assert len(some) == len(attributes["identifiers"])
            self.n_requests += 1
            if attributes["operation"] == "add":
                self.people |= some
            else:
                self.people -= some
