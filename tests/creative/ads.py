"""A procedural library of small advertisements whose every attribute is known.

Pictures are drawn, captions are written from the same attributes with synonyms and omissions.
"""

from dataclasses import dataclass, replace

import numpy as np

SIDE = 48
REGIONS = ("asia", "europe", "america")
PATTERNS = {"asia": "striped", "europe": "dotted", "america": "checked"}
PHRASES: dict[str, dict[str, tuple[str, ...]]] = {
    "energy": {
        "low": ("calm", "quiet", "still"),
        "middle": ("moderate", "steady"),
        "high": ("energetic", "lively", "dynamic"),
    },
    "palette": {
        "low": ("cool colors", "blue tones"),
        "middle": ("neutral colors", "muted tones"),
        "high": ("warm colors", "orange tones"),
    },
    "setting": {"indoor": ("indoor scene", "interior"), "outdoor": ("outdoor scene", "outside")},
    "presenter": {"a": ("round head", "presenter anna"), "b": ("square head", "presenter ben")},
    "region": {name: (f"{pattern} band",) for name, pattern in PATTERNS.items()},
    "brand": {
        "low": ("unbranded", "logo missing"),
        "middle": ("half branded", "faint logo"),
        "high": ("fully branded", "strong logo"),
    },
    "shape": {name: (f"with a {name}",) for name in ("bottle", "cup", "ball", "box", "star")},
    "layout": {name: (f"product {name}",) for name in ("left", "center", "right")},
    "clutter": {"low": ("clean", "minimal"), "high": ("busy", "cluttered")},
}
"""What each value of each attribute is called."""
WEAK = ("shape", "layout", "clutter")
"""Drawn small or faint, and named seldom: what a small encoder cannot read."""
NUMBERS = ("energy", "palette", "brand", "clutter")
HELD_OUT = (
    {"energy": "high", "palette": "low", "setting": "outdoor"},
    {"energy": "low", "palette": "high", "setting": "outdoor"},
    {"energy": "middle", "palette": "low", "presenter": "b"},
    {"brand": "high", "setting": "indoor", "presenter": "a", "energy": "high"},
)
"""Combinations that a training corpus never has."""


@dataclass(frozen=True)
class Ads:
    """Attributes of n advertisements, each [n]: numbers in [0, 1], the others texts."""

    columns: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.columns["region"])

    def take(self, rows: np.ndarray) -> "Ads":
        """Some of them."""
        return Ads({name: values[rows] for name, values in self.columns.items()})

    def values(self, name: str) -> np.ndarray:
        """An attribute as texts: numbers in two or three bands."""
        column = self.columns[name]
        if name not in NUMBERS:
            return column
        if name == "clutter":
            return np.where(column < 0.5, "low", "high")
        return np.where(column < 1 / 3, "low", np.where(column < 2 / 3, "middle", "high"))

    def has(self, combination: dict[str, str]) -> np.ndarray:
        """Which of them have every value of a combination, bool [n]."""
        return np.all([self.values(name) == value for name, value in combination.items()], axis=0)

    def where(self, name: str, values: np.ndarray) -> "Ads":
        """The same with one attribute replaced."""
        return replace(self, columns=self.columns | {name: values})


def draw_ads(n_ads: int, *, seed: int) -> Ads:
    """Advertisements with independent attributes."""
    generator = np.random.default_rng(seed)
    columns: dict[str, np.ndarray] = {name: generator.random(n_ads) for name in NUMBERS}
    for name, values in PHRASES.items():
        if name not in NUMBERS:
            columns[name] = generator.choice(list(values), n_ads)
    return Ads(columns)


def corpus(n_ads: int, *, seed: int, biased: bool = False) -> Ads:
    """Advertisements to train on, without the held-out combinations.

    Biased, presenter a has 83 % of the upper half of energy and 17 % of the lower.
    """
    ads = draw_ads(n_ads * 2, seed=seed)
    if biased:
        odds = np.where(ads.columns["energy"] > 0.5, 0.83, 0.17)
        is_a = np.random.default_rng([seed, 3]).random(len(ads)) < odds
        ads = ads.where("presenter", np.where(is_a, "a", "b"))
    unseen = np.any([ads.has(combination) for combination in HELD_OUT], axis=0)
    return ads.take(np.flatnonzero(~unseen)[:n_ads])


def unseen_combinations(n_ads: int, *, seed: int) -> Ads:
    """Advertisements that all have a held-out combination."""
    ads = draw_ads(n_ads * 12, seed=seed)
    unseen = np.any([ads.has(combination) for combination in HELD_OUT], axis=0)
    return ads.take(np.flatnonzero(unseen)[:n_ads])


def named_bits() -> list[tuple[str, str]]:
    """Every value of every attribute, in the order of the columns of `picture_bits`."""
    return [(name, value) for name, values in PHRASES.items() for value in values]


def picture_bits(ads: Ads) -> np.ndarray:
    """Which values each has, float32 [n, values]."""
    return np.stack([ads.values(name) == value for name, value in named_bits()], axis=1).astype(
        np.float32
    )


def write_captions(ads: Ads, *, seed: int, complete: bool = False) -> tuple[list[str], np.ndarray]:
    """Captions and the values that each names, float32 [n, values].

    Parameters
    ----------
    ads
        What they are of.
    seed
        Of synonyms, omissions and order.
    complete
        Whether everything that is not weak is named, and nothing else.
    """
    generator = np.random.default_rng([seed, 5])
    place = {pair: column for column, pair in enumerate(named_bits())}
    bits = np.zeros((len(ads), len(place)), dtype=np.float32)
    banded = {name: ads.values(name) for name in PHRASES}
    captions = []
    for row in range(len(ads)):
        parts = []
        for name, values in banded.items():
            odds = (name not in WEAK) if complete else (0.25 if name in WEAK else 0.7)
            if generator.random() < odds:
                words = PHRASES[name][values[row]]
                parts.append(words[generator.integers(len(words))])
                bits[row, place[name, values[row]]] = 1
        if not parts:
            parts = ["advertisement"]
        captions.append(" ".join(parts[part] for part in generator.permutation(len(parts))))
    return captions, bits


BLOCK = 500
Grid = tuple[np.ndarray, np.ndarray]
"""Row and column of each place."""


def draw_pictures(ads: Ads, *, seed: int) -> np.ndarray:
    """Pictures uint8 [n, SIDE, SIDE, 3]."""
    parts = [
        _draw(ads.take(np.arange(start, min(start + BLOCK, len(ads)))), seed=seed + start)
        for start in range(0, len(ads), BLOCK)
    ]
    return np.concatenate(parts)


def _draw(ads: Ads, *, seed: int) -> np.ndarray:
    generator = np.random.default_rng([seed, 9])
    n_ads, y, x = len(ads), *np.mgrid[0:SIDE, 0:SIDE]
    shown = _scene(ads, y, x)
    _streaks(shown, ads, generator, grid=(y, x))
    _presenter(shown, ads, generator, grid=(y, x))
    _product(shown, ads, generator, grid=(y, x))
    specks = generator.random((n_ads, SIDE, SIDE)) < 0.03 * ads.columns["clutter"][:, None, None]
    shown += 25.0 * (specks * generator.choice([-1, 1], (n_ads, SIDE, SIDE)))[..., None]
    _band_and_strip(shown, ads, (y, x))
    shown += generator.normal(0, 6, shown.shape)
    return np.clip(shown, 0, 255).astype(np.uint8)


def _scene(ads: Ads, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Background: the palette, and what tells inside from outside."""
    warm = ads.columns["palette"][:, None, None, None]
    cold, hot = np.array([50.0, 110.0, 215.0]), np.array([235.0, 130.0, 50.0])
    shown = np.ones((len(ads), SIDE, SIDE, 3)) * ((1 - warm) * cold + warm * hot)
    outdoor = (ads.columns["setting"] == "outdoor")[:, None, None]
    ground = (y >= 28)[None] & outdoor
    shown[ground] = 0.5 * shown[ground] + 0.5 * np.array([60.0, 160.0, 60.0])
    window = ((x >= 4) & (x < 16) & (y >= 9) & (y < 21))[None] & ~outdoor
    shown[window] = 0.3 * shown[window] + 0.7 * 245
    return shown


def _streaks(shown: np.ndarray, ads: Ads, generator: np.random.Generator, *, grid: Grid) -> None:
    """Diagonal bright lines, the brighter the more energy."""
    y, x = grid
    phase = generator.uniform(0, 2 * np.pi, (len(ads), 1, 1))
    lines = np.sin(1.1 * (x + y)[None] + phase) > 0.3
    shown += (110 * ads.columns["energy"][:, None, None] * lines)[..., None] - 20


def _presenter(shown: np.ndarray, ads: Ads, generator: np.random.Generator, *, grid: Grid) -> None:
    """A head and a body: round over violet, or square over yellow."""
    y, x = grid
    across = 34 + generator.integers(-3, 4, (len(ads), 1, 1))
    is_round = (ads.columns["presenter"] == "a")[:, None, None]
    circle = (x[None] - across) ** 2 + (y - 15) ** 2 <= 30
    square = (np.abs(x[None] - across) <= 5) & (np.abs(y - 15) <= 5)
    shown[np.where(is_round, circle, square)] = (224, 180, 150)
    body = (np.abs(x[None] - across) <= 5) & ((y > 20) & (y < 32))[None]
    shown[body & is_round] = (120, 50, 140)
    shown[body & ~is_round] = (225, 205, 60)


def _product(shown: np.ndarray, ads: Ads, generator: np.random.Generator, *, grid: Grid) -> None:
    """A small shape at one of three places."""
    y, x = grid
    middle = {"left": 19, "center": 23, "right": 27}
    left = np.array([middle[one] for one in ads.columns["layout"].tolist()])[:, None, None]
    across, down = np.abs(x[None] - left), np.abs(y[None] - 34)
    forms = {
        "bottle": (across <= 1) & (down <= 4),
        "cup": (across <= 3) & (down <= 2),
        "ball": across**2 + down**2 <= 9,
        "box": (across <= 3) & (down <= 3),
        "star": across + down <= 4,
    }
    tint = generator.uniform(60, 200, (len(ads), 3))
    for name, form in forms.items():
        mine = form & (ads.columns["shape"] == name)[:, None, None]
        shown[mine] = np.broadcast_to(tint[:, None, None, :], shown.shape)[mine]


def _band_and_strip(shown: np.ndarray, ads: Ads, grid: Grid) -> None:
    """The region's band above, and the brand's strip below, the redder the stronger."""
    y, x = grid
    patterns = {
        "asia": x % 6 < 3,
        "europe": (x % 6 - 2) ** 2 + (y - 3) ** 2 <= 4,
        "america": (x // 3 + y // 3) % 2 == 0,
    }
    for name, pattern in patterns.items():
        mine = (ads.columns["region"] == name)[:, None, None]
        shown[mine & ((y < 6) & pattern)[None]] = (250, 250, 250)
        shown[mine & ((y < 6) & ~pattern)[None]] = (30, 30, 30)
    strong = ads.columns["brand"][:, None, None, None]
    tint = np.array([215.0, 0.0, 110.0]) * strong + np.array([225.0, 235.0, 225.0]) * (1 - strong)
    for part in ((y >= 39)[None], ((x >= 2) & (x < 14) & (y >= 24))[None]):
        strip = np.broadcast_to(part, shown.shape[:3])
        shown[strip] = np.broadcast_to(tint, shown.shape)[strip]
