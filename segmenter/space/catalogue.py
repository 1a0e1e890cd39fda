"""Named directions, kept with the model in whose space they were found.

A direction means nothing in another space: the catalogue holds the model's digest, and every
change of it gives a new version.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segmenter.bundle import read_bundle, write_bundle
from segmenter.errors import BundleError, SpaceError
from segmenter.space.directions import Direction
from segmenter.validity.lift import Interval

DIRECTIONS, STEPS = "directions", "steps"


@dataclass(frozen=True)
class Catalogue:
    """Named directions of one space.

    Attributes
    ----------
    space
        Identity of the space, such as the digest of the model.
    directions
        By name.
    version
        Counts the changes, from 0 for an empty catalogue.
    """

    space: str
    directions: Mapping[str, Direction]
    version: int = 0

    def __getitem__(self, name: str) -> Direction:
        """A direction by its name.

        Raises
        ------
        SpaceError
            If there is none of that name.
        """
        if name not in self.directions:
            known = ", ".join(sorted(self.directions)) or "none yet"
            message = f"the catalogue has no direction {name!r}; it has: {known}"
            raise SpaceError(message)
        return self.directions[name]

    def with_direction(self, direction: Direction) -> "Catalogue":
        """The next version, with one more direction or another of the same name."""
        together = {**self.directions, direction.name: direction}
        return Catalogue(self.space, together, self.version + 1)

    def without_direction(self, name: str) -> "Catalogue":
        """The next version, with one direction less; SpaceError if there is none of that name."""
        gone = self[name]
        left = {key: one for key, one in self.directions.items() if one is not gone}
        return Catalogue(self.space, left, self.version + 1)

    def save(self, folder: Path) -> None:
        """Write JSON and arrays under a manifest with digests, atomically."""
        plain = [_plain(one) for one in self.directions.values()]
        document = {"space": self.space, "version": self.version, "directions": plain}
        steps = {f"{place:05d}": one.step for place, one in enumerate(self.directions.values())}
        write_bundle(folder, documents={DIRECTIONS: document}, arrays={STEPS: steps})

    @classmethod
    def load(cls, folder: Path, *, space: str) -> "Catalogue":
        """Read a catalogue.

        Parameters
        ----------
        folder
            Where it was saved.
        space
            Identity of the space in which it is going to be used.

        Raises
        ------
        BundleError
            If the folder is damaged, incomplete or of a newer format.
        SpaceError
            If the directions are of another space.
        """
        content = read_bundle(folder)
        try:
            document, steps = content.documents[DIRECTIONS], content.arrays[STEPS]
            listed = [
                _direction(plain, steps[f"{place:05d}"])
                for place, plain in enumerate(document["directions"])
            ]
            found = cls(
                str(document["space"]), {one.name: one for one in listed}, int(document["version"])
            )
        except (KeyError, TypeError, ValueError) as error:
            message = f"{folder} is no catalogue of directions: {error!r}"
            raise BundleError(message) from error
        if found.space != space:
            message = (
                f"the directions of {folder} are of the space {found.space[:12]}, not of "
                f"{space[:12]}; find them again with this model"
            )
            raise SpaceError(message)
        return found


def _plain(direction: Direction) -> dict[str, Any]:
    """A direction without its step, as JSON."""
    plain = asdict(direction)
    del plain["step"]
    return plain | {"without": list(direction.without)}


def _direction(plain: Mapping[str, Any], step: np.ndarray) -> Direction:
    intervals = {name: Interval(**plain[name]) for name in ("length", "agreement")}
    without = tuple(plain["without"])
    return Direction(**{**plain, **intervals, "without": without, "step": step})
