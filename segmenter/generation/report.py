"""The report beside a generated set: how real it is, and what it gives away, with controls."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from segmenter.generation.crowd import Crowd
from segmenter.generation.features import Looks
from segmenter.generation.fidelity import Fidelity, measure_fidelity
from segmenter.generation.latent_use import LatentUse, measure_latent_use
from segmenter.generation.markov import markov_control
from segmenter.generation.population import Population
from segmenter.generation.privacy import Privacy, measure_privacy
from segmenter.generation.request import Request, target_members

MIN_HELD_OUT = 100
"""Fewer held-out users are no measure; then users learned from are split in two halves."""
MAX_USERS, MAX_LATENT_USERS = 1_000, 300
GENERATED, COPY, MARKOV = "generated", "copy of real users", "Markov chain per cluster"
HELD_OUT_NOTE = "compared with users whom the model did not learn from"
HALVES_NOTE = (
    "too few users are held out: compared with half of the users learned from, so that figures "
    "flatter and copying is not seen"
)


@dataclass(frozen=True)
class Report:
    """What is measured of a set.

    Attributes
    ----------
    note
        Whom the set was compared with.
    fidelity
        Of the set and of each control.
    latent_use
        What the decoder makes of the latents of all users.
    privacy
        What attacks find.
    """

    note: str
    fidelity: dict[str, Fidelity]
    latent_use: LatentUse
    privacy: Privacy


def report_on(generated: pl.DataFrame, population: Population, request: Request) -> Report:
    """Measure a set that stands for real users.

    Parameters
    ----------
    generated
        Its event log.
    population
        Real users.
    request
        What was asked for; says for whom the set stands.
    """
    learned, held_out, note = _compared(population, request)
    known, real = (population.events(crowd) for crowd in (learned, held_out))
    n = len(held_out.users)
    made = _first_users(generated, n)
    sets = {
        GENERATED: made,
        COPY: _first_users(known, n),
        MARKOV: markov_control(known, n=min(n, made["user"].n_unique()), seed=request.seed),
    }
    fidelity = {
        name: measure_fidelity(one, real, learned=known, seed=request.seed)
        for name, one in sets.items()
    }
    privacy = measure_privacy(
        made, learned=known, held_out=real, rare=population.rare_values(), seed=request.seed
    )
    return Report(note, fidelity, _latent_use(population, seed=request.seed), privacy)


def _latent_use(population: Population, *, seed: int) -> LatentUse:
    """What the decoder makes of the latents of all users, whichever a request is about."""
    crowd = population.held_out
    if len(crowd.users) < MIN_HELD_OUT:
        crowd = population.learned
    chosen = np.random.default_rng(seed).permutation(len(crowd.users))[:MAX_LATENT_USERS]
    crowd = crowd.only(np.sort(chosen))
    return measure_latent_use(
        population.model.network,
        population.learned,
        histories=population.histories(crowd),
        embeddings=crowd.embeddings,
        looks=Looks.of(population.events(crowd)),
        seed=seed,
    )


def _compared(population: Population, request: Request) -> tuple[Crowd, Crowd, str]:
    """Users learned from, users to compare with, and what a reader should know of them."""
    members, others = target_members(population, request)
    generator = np.random.default_rng(request.seed)
    members = generator.permutation(members)
    others = generator.permutation(others)[:MAX_USERS]
    if len(others) >= MIN_HELD_OUT:
        known = population.learned.only(np.sort(members[:MAX_USERS]))
        return known, population.held_out.only(np.sort(others)), HELD_OUT_NOTE
    half = min(len(members) // 2, MAX_USERS)
    parts = (members[:half], members[half : 2 * half])
    known, real = (population.learned.only(np.sort(one)) for one in parts)
    return known, real, HALVES_NOTE


def _first_users(events: pl.DataFrame, n: int) -> pl.DataFrame:
    users = events["user"].unique(maintain_order=True).head(n)
    return events.filter(pl.col("user").is_in(users.implode()))
