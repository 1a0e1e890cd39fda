"""What a creative space answers: the computing behind its routes, shared with the commands.

A picture is looked for by the id of an asset: over HTTP no file of the server is ever opened.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segmenter.creative.bias import audit_searches
from segmenter.creative.correction import kept_correction
from segmenter.creative.drift import measure_brand_drift
from segmenter.creative.encoder import Encoder
from segmenter.creative.on_brand import score_on_brand
from segmenter.creative.refresh import refresh_region
from segmenter.creative.spectra import find_spectrum
from segmenter.creative.store import CreativeSpace
from segmenter.creative.words import Words
from segmenter.errors import ConfigError, CreativeError
from serving.api.creative_schemas import (
    AuditRequest,
    DriftRequest,
    RefreshRequest,
    SearchRequest,
    SpectrumRequest,
)
from serving.creative_commands import asked_queries, both_lists
from serving.creative_options import encoder_of, opened, words_of
from serving.creative_study_commands import DRIFT_ARRAYS
from serving.space_plain import plain

Answer = dict[str, Any]
MAX_AUDITED, FEW_STRATA = 50, 10
"""Most values of a group that one request may audit: some seconds, as long as they are compared
inside a column of few values or none.
"""


@dataclass(frozen=True)
class Library:
    """A creative space with what its answers need.

    Attributes
    ----------
    space
        Assets and vectors.
    words
        To name directions.
    encoder
        That made the space.
    """

    space: CreativeSpace
    words: Words
    encoder: Encoder

    @classmethod
    def read(cls, folder: Path, model: str | None) -> "Library":
        """Open a folder that `segmenter creative index` made, with its encoder.

        Raises
        ------
        ConfigError
            If there is no such folder.
        CreativeError
            If it holds no complete space, its encoder is not there, or the extra is missing.
        """
        if not folder.exists():
            message = f"--creative must name a creative space; there is no {folder}"
            raise ConfigError(message)
        space = opened(folder)
        return cls(space, words_of(folder), encoder_of(space, model))

    @property
    def about(self) -> Answer:
        """What the space holds and which columns its encoder can see."""
        reading = self.space.readability.items()
        return {
            "encoder": self.space.encoder["name"],
            "n_pictures": self.space.n_pictures,
            "n_texts": len(self.space.assets) - self.space.n_pictures,
            "columns": self.space.pictures.metadata.columns,
            "readable": [name for name, one in reading if one["readable"]],
        }


def search(library: Library, asked: SearchRequest) -> Answer:
    """Pictures and texts as two lists."""
    space = library.space
    if asked.picture is not None:
        space.pictures.rows([asked.picture])  # refuses what would be taken for a file
    queries, empty = asked_queries(space, library.encoder, asked.query, picture=asked.picture)
    balance = kept_correction(space.folder)
    options = (asked.k, asked.where, balance)
    return {"reranked_by": balance} | plain(both_lists(space, queries, empty, options=options))


def spectrum(library: Library, asked: SpectrumRequest) -> Answer:
    """The pictures between two poles and the control."""
    found = find_spectrum(
        library.space,
        library.encoder,
        (asked.start, asked.end),
        anchor=asked.anchor,
        n_steps=asked.n,
        seed=asked.seed,
    )
    return _object(found)


def drift(library: Library, asked: DriftRequest) -> Answer:
    """The study and, where enough assets were reviewed, how well their flag is foretold."""
    study = measure_brand_drift(
        library.space, library.words, by=asked.by, unit=asked.unit, seed=asked.seed
    )
    answer = _object(study, without=DRIFT_ARRAYS)
    with suppress(CreativeError):  # too few reviewed assets: the study stands without
        answer["on_brand_auc"] = score_on_brand(library.space, seed=asked.seed).auc
    return answer


def refresh(library: Library, asked: RefreshRequest) -> Answer:
    """Directions, boards and the brief of a region."""
    study = measure_brand_drift(library.space, library.words, by=asked.by, seed=asked.seed)
    found = refresh_region(library.space, study, region=asked.region, seed=asked.seed)
    return _object(found) | {"brief": found.brief()}


def audit(library: Library, asked: AuditRequest) -> Answer:
    """Shares at the top of searches against the library's, before and after re-ranking."""
    _check_size(library, asked)
    compare = asked.compare or []
    queries = library.encoder.texts([*asked.queries, *compare])
    found = audit_searches(
        library.space,
        queries,
        tag=asked.group,
        compared=np.arange(len(queries)) >= len(asked.queries) if compare else None,
        within=asked.within,
        k=asked.k,
    )
    return _object(found) | {"biased": found.biased}


def _check_size(library: Library, asked: AuditRequest) -> None:
    """Refuse what would take minutes: every value is tested by permutations in every stratum."""
    table = library.space.pictures.metadata
    n_values, n_strata = (
        table[name].n_unique() if name in table.columns else 1
        for name in (asked.group, asked.within)
    )
    most = MAX_AUDITED * FEW_STRATA // max(n_strata, FEW_STRATA)
    if n_values > most:
        inside = "" if asked.within is None else f" inside {asked.within}, which has {n_strata}"
        message = (
            f"{asked.group} has {n_values} values; over HTTP at most {most} are audited{inside}; "
            "use segmenter creative audit"
        )
        raise CreativeError(message)


def thumbnail(library: Library, asset: str) -> bytes | None:
    """JPEG of a picture by its id; None where there is no such picture."""
    return library.space.thumbnails([asset]).get(asset)


def _object(found: Any, *, without: tuple[str, ...] = ()) -> Answer:  # noqa: ANN401 - any result
    answer: Answer = plain(found, without=without)
    return answer
