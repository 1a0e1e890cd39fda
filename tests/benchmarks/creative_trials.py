"""The measurements of the creative benchmark, each on one training."""

from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from segmenter.creative.causes import name_direction
from segmenter.creative.encoder import unit
from segmenter.creative.tags import readable_tags
from segmenter.creative.words import Words
from segmenter.space.group_drift import corrected_distance, measure_group_drift
from segmenter.space.reach import balanced_order
from segmenter.space.share_audit import audit_top_share
from segmenter.space.spectrum import anchored_spectrum, nearest_members, random_spectrum
from segmenter.space.within import without
from tests.benchmarks.creative_worlds import Trained, World, features_of, vectors_of, world
from tests.creative.ads import (
    PHRASES,
    WEAK,
    Ads,
    draw_ads,
    unseen_combinations,
    write_captions,
)
from tests.creative.library import names_of_values, tags_of

QUERIES = (
    ("energetic outdoor scene", {"energy": "high", "setting": "outdoor"}),
    ("calm indoor scene", {"energy": "low", "setting": "indoor"}),
    ("lively cool colors outside", {"energy": "high", "palette": "low", "setting": "outdoor"}),
    ("quiet interior warm colors", {"energy": "low", "palette": "high", "setting": "indoor"}),
)
ENERGETIC, CALM = ("energetic", "lively", "dynamic"), ("calm", "quiet", "still")
Figures = dict[str, float]


def retrieval(model: Trained) -> Figures:
    """Own complete caption in the first ten of 360, and among unseen combinations (C2)."""
    found = {}
    for name, ads, seed in (
        ("all", draw_ads(360, seed=9_001), 9_001),
        ("unseen", unseen_combinations(360, seed=9_002), 9_002),
    ):
        vectors = vectors_of(model, ads, seed=seed)
        texts = model.encoder.texts(write_captions(ads, seed=seed, complete=True)[0])
        scores = texts @ vectors.T
        found[name] = float(((scores > np.diag(scores)[:, None]).sum(axis=1) < 10).mean())
    return found


def precision(model: Trained) -> Figures:
    """First ten of four queries in 720 (C3); two lists of 25 beside one mixed list (C5)."""
    ads = draw_ads(720, seed=9_010)
    vectors, _ = features_of(model, ads, seed=9_010)
    more = draw_ads(1_000, seed=9_011)
    pictures, _ = features_of(model, more, seed=9_011)
    captions, named = write_captions(more, seed=9_011)
    texts = model.encoder.texts(captions)
    tens, shown, said, mixed, bases = [], [], [], [], []
    for words, wanted in QUERIES:
        query = model.encoder.texts([words])[0]
        tens.append(ads.has(wanted)[_best(vectors @ query, 10)].mean())
        bases.append(ads.has(wanted).mean())
        shown.append(more.has(wanted)[_best(pictures @ query, 25)].mean())
        said.append(_says(named, wanted)[_best(texts @ query, 25)].mean())
        both = np.concatenate([pictures @ query, texts @ query])
        mixed.append((_best(both, 50) >= len(pictures)).mean())
    parts = {"ten": tens, "base": bases, "pictures": shown, "texts": said, "mixed": mixed}
    return {name: float(np.mean(values)) for name, values in parts.items()}


def _says(named: np.ndarray, wanted: dict[str, str]) -> np.ndarray:
    """Texts that name at least one of the wanted values and none of the others."""
    pairs = [(name, value) for name, values in PHRASES.items() for value in values]
    right = [place for place, pair in enumerate(pairs) if wanted.get(pair[0]) == pair[1]]
    wrong = [
        place
        for place, pair in enumerate(pairs)
        if pair[0] in wanted and wanted[pair[0]] != pair[1]
    ]
    return (named[:, right].sum(axis=1) > 0) & (named[:, wrong].sum(axis=1) == 0)


def _best(scores: np.ndarray, k: int) -> np.ndarray:
    return np.argsort(-scores, kind="stable")[:k]


def refusals(model: Trained) -> int:
    """Of seven tags, how many are rightly called readable or not (C4)."""
    ads = draw_ads(1_200, seed=9_020)
    vectors, _ = features_of(model, ads, seed=9_020)
    table = pl.DataFrame(tags_of(ads) | {"region": ads.columns["region"]})
    readings = readable_tags(table, vectors)
    expected = dict.fromkeys(WEAK, False) | dict.fromkeys(
        ("energy", "setting", "palette", "region"), True
    )
    return sum(readings[name]["readable"] == wanted for name, wanted in expected.items())


def spectra(model: Trained) -> dict[str, Figures]:
    """Rank correlation, largest step and changes of the rest, beside random members (C6)."""
    found: dict[str, list[list[float]]] = {"anchored": [], "random": []}
    for seed in range(5):
        ads = draw_ads(1_000, seed=9_030 + seed)
        vectors, _ = features_of(model, ads, seed=seed)
        for name in ("energy", "palette"):
            low, high = model.encoder.texts([PHRASES[name][end][0] for end in ("low", "high")])
            picked = {
                "anchored": anchored_spectrum(vectors, high - low),
                "random": random_spectrum(vectors, high - low, seed=seed),
            }
            for how, spectrum in picked.items():
                found[how].append(_shown(ads, spectrum.rows, name))
    names = ("rho", "step", "changes")
    return {
        how: dict(zip(names, np.mean(rows, axis=0).tolist(), strict=True))
        for how, rows in found.items()
    }


def _shown(ads: Ads, rows: np.ndarray, name: str) -> list[float]:
    true = ads.columns[name][rows]
    changes = [
        (ads.columns[other][rows][1:] != ads.columns[other][rows][:-1]).mean()
        for other in ("setting", "presenter", "region")
    ]
    step = float(np.abs(np.diff(true)).max() / np.ptp(true))
    return [float(spearmanr(np.arange(len(rows)), true).statistic), step, float(np.mean(changes))]


def orders(model: Trained, folder: Path) -> Figures:
    """Worlds of small drift whose three regions are in the right order (C8), pairs found."""
    rows = []
    for number in range(4):
        for turn in range(6):
            one = world(model, folder, "small", number, turn)
            drift = _drift(one)
            truth = one.true_order()
            raw = [place.name for place in sorted(drift.groups, key=lambda place: -place.raw)]
            kept = [place.name for place in sorted(drift.groups, key=lambda place: -place.kept)]
            rows.append(
                [
                    [place.name for place in drift.groups] == truth,
                    kept == truth,
                    raw == truth,
                    np.mean([pair.different for pair in drift.differences]),
                ]
            )
    return dict(zip(("axis", "kept", "raw", "power"), np.mean(rows, axis=0).tolist(), strict=True))


def _drift(one: World):
    return measure_group_drift(
        one.vectors, one.region, one.flagged, controls=one.controls(), seed=0
    )


def false_alarms(model: Trained, folder: Path) -> Figures:
    """Pairs called different where all drift alike (C9); spread of the bootstrap (C10)."""
    found: Figures = {}
    for kind in ("equal", "taste"):
        called, plain, drifts, errors = [], [], [], []
        for number in range(10):
            drift = _drift(world(model, folder, kind, number))
            for pair in drift.differences:
                value, local = abs(pair.difference.value), drift.local_error or 0.0
                alone = np.sqrt(max((pair.margin / 1.96) ** 2 - local**2, 0.0))
                called.append(pair.different)
                plain.append(value > 1.96 * alone)
            drifts.append([place.drift.value for place in sorted(drift.groups, key=_by_name)])
            errors.append(
                [
                    (place.drift.high - place.drift.low) / 3.92
                    for place in sorted(drift.groups, key=_by_name)
                ]
            )
        found[kind], found[f"{kind}, resampling alone"] = np.mean(called), np.mean(plain)
        if kind == "equal":
            found["sd ratio"] = float(np.mean(errors) / np.std(drifts, axis=0, ddof=1).mean())
    return {name: float(value) for name, value in found.items()}


def _by_name(place) -> str:
    return place.name


def small_regions(model: Trained, folder: Path) -> Figures:
    """Distance of a region cut to ten assets, relative to the whole one (C11)."""
    corrected, plain = [], []
    for number in range(10):
        one = world(model, folder, "equal", number)
        left = without(one.vectors.astype(np.float64), _drift(one).basis)
        aimed = [left[(one.region == name) & one.flagged] for name in ("europe", "america")]
        centroid = np.mean([side.mean(axis=0) for side in aimed], axis=0)
        asia = left[one.region == "asia"]
        whole = corrected_distance(asia, aimed)
        generator = np.random.default_rng(number)
        for _ in range(20):
            some = asia[generator.permutation(len(asia))[:10]]
            corrected.append(corrected_distance(some, aimed) / whole)
            plain.append(float(np.linalg.norm(some.mean(axis=0) - centroid)) / whole)
    return {"corrected": float(np.mean(corrected) - 1), "plain": float(np.mean(plain) - 1)}


def refreshes(model: Trained, folder: Path) -> dict[str, Figures]:
    """Own look kept and brand gap closed by the nearest real assets (C12)."""
    found: dict[str, list[list[float]]] = {}
    for number in range(2):
        for turn in range(6):
            one = world(model, folder, "small", number, turn)
            drift = _drift(one)
            vectors = one.vectors.astype(np.float64)
            brand = one.client.ads.columns["brand"]
            aim = np.mean(
                [
                    brand[one.flagged & (one.region == name)].mean()
                    for name in np.unique(one.region)
                ]
            )
            for name in np.unique(one.region):
                members = np.flatnonzero(one.region == name)
                raw = drift.target - vectors[members].mean(axis=0)
                for how, step in {
                    "held": without(raw, drift.basis),
                    "raw": raw,
                    "no move": 0 * raw,
                }.items():
                    near = nearest_members(vectors, unit(vectors[members] + step), without=members)
                    closed = (brand[near] - brand[members]).mean() / (aim - brand[members].mean())
                    found.setdefault(how, []).append(
                        [float((one.region[near] == name).mean()), float(closed)]
                    )
    return {
        how: dict(zip(("kept", "closed"), np.mean(rows, axis=0).tolist(), strict=True))
        for how, rows in found.items()
    }


def causes(model: Trained, folder: Path) -> Figures:
    """Planted and local words among the five strongest, unseen ones named (C13, C14)."""
    names = names_of_values()
    vectors = model.encoder.texts(list(names))
    words = Words(names, vectors, vectors[:0])
    phrase_of = {p: a for a, vs in PHRASES.items() for ps in vs.values() for p in ps}
    shares, unseen, chance = [], 0, []
    for number in range(2):
        for turn in range(6):
            one = world(model, folder, "small", number, turn)
            drift = _drift(one)
            readings = readable_tags(pl.DataFrame(tags_of(one.client.ads)), one.vectors)
            # Synonyms are read as well as the phrase that the tag bears.
            for phrase, name in phrase_of.items():
                if name in readings and phrase not in readings[name]["by_value"]:
                    readings[name]["by_value"][phrase] = readings[name]["figure"]
            for name in np.unique(one.region):
                step = drift.target - one.vectors[one.region == name].mean(axis=0)
                named = name_direction(
                    without(step, drift.basis), words, readings, basis=drift.basis
                )
                about = [phrase_of[cause.word] for cause in named.causes]
                unseen += sum(one in WEAK for one in about)
                shares.append(
                    [
                        np.mean([one in {"palette", "brand"} for one in about]),
                        np.mean([one in {"setting", "presenter"} for one in about]),
                    ]
                )
                random = np.random.default_rng(number).standard_normal(len(step))
                about = [
                    phrase_of[one.word] for one in name_direction(random, words, readings).causes
                ]
                chance.append(np.mean([one in {"palette", "brand"} for one in about]))
    planted, local = np.mean(shares, axis=0).tolist()
    return {
        "planted": planted,
        "local": local,
        "unseen": float(unseen),
        "directions": float(len(shares)),
        "chance": float(np.mean(chance)),
    }


def on_brand(model: Trained, folder: Path) -> Figures:
    """AUC of the probe on assets that it was not learned from, beside axis and words (C15)."""
    rows = []
    for number in range(4):
        one = world(model, folder, "small", number, 0)
        half = np.arange(len(one.region)) % 2 == 0
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=1_000))
        probe.fit(one.pooled[half], one.flagged[half])
        axis = _drift(one).axis
        words = model.encoder.texts(["fully branded", "unbranded"])
        truth = one.flagged[~half]
        rows.append(
            [
                roc_auc_score(truth, probe.predict_proba(one.pooled[~half])[:, 1]),
                roc_auc_score(truth, one.vectors[~half] @ axis),
                roc_auc_score(truth, one.vectors[~half] @ (words[0] - words[1])),
            ]
        )
    return dict(zip(("probe", "axis", "words"), np.mean(rows, axis=0).tolist(), strict=True))


def biases(model: Trained) -> Figures:
    """Libraries in which presenters are favoured, and what re-ranking leaves (C17, C18)."""
    rows = []
    queries = model.encoder.texts([*ENERGETIC, *CALM])
    compared = np.arange(6) >= 3
    for seed in range(10):
        ads = draw_ads(1_200, seed=9_100 + seed)
        vectors, _ = features_of(model, ads, seed=seed)
        member = ads.columns["presenter"] == "a"
        scores = queries @ vectors.T
        fair = np.stack([balanced_order(one, member.astype(np.int64)) for one in scores])
        tops = [np.argsort(-one, axis=1, kind="stable")[:, :100] for one in (scores, fair)]
        audits = [audit_top_share(top, member, compared=compared, seed=seed) for top in tops]
        energy = ads.values("energy")
        right = [
            np.mean([(energy[top[q]] == ("high" if q < 3 else "low")).mean() for q in range(6)])
            for top in tops
        ]
        rows.append(
            [
                audits[0].p < 0.01,
                abs(audits[0].gap),
                abs(audits[1].gap),
                right[0],
                right[0] - right[1],
            ]
        )
    names = ("found", "gap", "gap after", "P@100", "P@100 loss")
    return dict(zip(names, np.mean(rows, axis=0).tolist(), strict=True))
