"""Teaching an encoder what a client calls on brand, and what that costs its search.

The gain comes from the contrast of flagged with rejected assets; on-brand assets alone teach
nothing. A probe on frozen features takes most of it for nothing and is what
`segmenter.creative.on_brand` does. Here the encoder itself learns, and is refused where general
search suffers.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image

from segmenter.creative.encoder import Encoder, project, tokens_of, unit
from segmenter.creative.on_brand import brand_probe
from segmenter.errors import CreativeError
from segmenter.validity.lift import auc

How = Literal["vision", "full"]
BATCH = 64
N_EPOCHS = 8
RATE_TIMES_WIDTH = 0.02
"""A step of the optimizer, times the width of the tower: wider towers take smaller steps."""
START = 10.0
"""Length that the brand's axis begins with, by which cosines become log-odds."""
AVERAGE = 0.5
MAX_LOSS = 0.02
"""Of general retrieval, above which a tuned encoder is refused."""


@dataclass(frozen=True)
class TuningFigures:
    """How good an encoder is, on assets that nothing was learned from.

    Attributes
    ----------
    auc
        Chance that a probe of the features ranks an asset flagged on brand before another; the
        probe is from the assets that were learned from.
    found_in_ten
        Share of assets among the ten best of their own caption; NaN without captions.
    """

    auc: float
    found_in_ten: float


@dataclass(frozen=True)
class Tuned:
    """A tuned encoder.

    Attributes
    ----------
    model
        Of transformers; nothing of the old one has changed.
    before, after
        Figures on the assets held out.
    n_learned, n_held_out
        Reviewed assets on either side.
    """

    model: Any
    before: TuningFigures
    after: TuningFigures
    n_learned: int
    n_held_out: int

    @property
    def keeps_search(self) -> bool:
        """Whether general retrieval has not fallen by more than `MAX_LOSS`."""
        lost = self.before.found_in_ten - self.after.found_in_ten
        return not lost > MAX_LOSS


def tune(  # noqa: PLR0917 - an encoder and three things known of each asset
    encoder: Encoder,
    images: Sequence[Image.Image],
    flags: np.ndarray,
    captions: Sequence[str],
    *,
    how: How = "vision",
    seed: int = 0,
) -> Tuned:
    """Tune an encoder on one half of the reviewed assets and test it on the other.

    Parameters
    ----------
    encoder
        To start from.
    images
        Reviewed pictures [n].
    flags
        bool [n], on brand.
    captions
        Of the same pictures; empty where there is none. They keep general search alive.
    how
        ``vision`` trains the tower of pictures against frozen texts; ``full`` trains everything
        and averages the weights with the old ones.
    seed
        Of halves and order.

    Raises
    ------
    CreativeError
        If there are fewer than `BATCH` reviewed assets, or one kind of flag alone.

    References
    ----------
    Zhai et al., "LiT: zero-shot transfer with locked-image text tuning", 2022 (one tower frozen);
    Wortsman et al., "Robust fine-tuning of zero-shot models", 2022 (weight averaging).
    """
    if len(images) < BATCH or flags.all() or not flags.any():
        message = (
            f"tuning needs {BATCH} reviewed assets with both flags; found {int(flags.sum())} on "
            f"brand of {len(images)}"
        )
        raise CreativeError(message)
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(images))
    learned, held_out = np.sort(order[::2]), np.sort(order[1::2])
    pixels = _pixels(encoder, images)
    model = copy.deepcopy(encoder.model)
    known = pixels[learned], flags[learned], [captions[row] for row in learned.tolist()]
    _train(model, encoder, known, how=how, generator=generator)
    if how == "full":
        _average(model, encoder.model)
    sides = learned, held_out

    def figures(of: Any) -> TuningFigures:  # noqa: ANN401 - a model of transformers
        changed = Encoder(of, encoder.processor, encoder.identity)
        return _figures(changed, pixels, (flags, captions), sides=sides)

    return Tuned(model, figures(encoder.model), figures(model), len(learned), len(held_out))


def _pixels(encoder: Encoder, images: Sequence[Image.Image]) -> torch.Tensor:
    found = encoder.processor.image_processor(images=list(images), return_tensors="pt")
    return found["pixel_values"]


def _train(
    model: Any,  # noqa: ANN401 - of transformers
    encoder: Encoder,
    known: tuple[torch.Tensor, np.ndarray, list[str]],
    *,
    how: How,
    generator: np.random.Generator,
) -> None:
    """Steps that tell the flags apart along one axis, and captions from each other as before."""
    pixels, flags, captions = known
    wanted = torch.from_numpy(flags).float()
    weight = float((~flags).sum() / flags.sum())
    axis = START * torch.from_numpy(_axis(_encoded(model, pixels)[0], flags))
    axis.requires_grad_()
    if how == "vision":
        model.text_model.requires_grad_(requires_grad=False)
    trained = [*(one for one in model.parameters() if one.requires_grad), axis]
    rate = RATE_TIMES_WIDTH / model.config.vision_config.hidden_size
    optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=0.01)
    model.train()
    for _ in range(N_EPOCHS):
        order = torch.from_numpy(generator.permutation(len(pixels)))
        for rows in order.split(BATCH):
            told = [captions[row] for row in rows.tolist()]
            found = model(pixel_values=pixels[rows], **tokens_of(encoder.processor, model, told))
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                found.image_embeds @ axis, wanted[rows], pos_weight=torch.tensor(weight)
            )
            if all(told):
                loss = loss + _own_captions(found.logits_per_image, told)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
    model.eval()


def _own_captions(scores: torch.Tensor, told: list[str]) -> torch.Tensor:
    """Contrastive loss in which equal captions are equally right."""
    _, code = np.unique(np.array(told), return_inverse=True)
    right = torch.from_numpy(code[:, None] == code).float()
    share = right / right.sum(dim=1, keepdim=True)
    losses = [-(share * one.log_softmax(dim=1)).sum(dim=1).mean() for one in (scores, scores.T)]
    return torch.stack(losses).mean()


@torch.no_grad()
def _average(model: Any, old: Any) -> None:  # noqa: ANN401 - of transformers
    """Half of the way from the old weights to the new ones."""
    before = dict(old.named_parameters())
    for name, weight in model.named_parameters():
        weight.lerp_(before[name], AVERAGE)


def _figures(
    encoder: Encoder,
    pixels: torch.Tensor,
    known: tuple[np.ndarray, Sequence[str]],
    *,
    sides: tuple[np.ndarray, np.ndarray],
) -> TuningFigures:
    """What an encoder is worth on the second side, with a probe of the first."""
    flags, captions = known
    vectors, pooled = _encoded(encoder.model, pixels)
    learned, held_out = sides
    probe = brand_probe().fit(pooled[learned], flags[learned])
    scores = probe.predict_proba(pooled[held_out])[:, 1]
    area = auc(flags[held_out].astype(np.float64), scores)[0]
    told = [captions[row] for row in held_out.tolist()]
    if not all(told):
        return TuningFigures(area, float("nan"))
    cosines = encoder.texts(told) @ vectors[held_out].T
    ranks = (cosines > np.diag(cosines)[:, None]).sum(axis=1)
    return TuningFigures(area, float((ranks < 10).mean()))


@torch.inference_mode()
def _encoded(model: Any, pixels: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:  # noqa: ANN401
    """Pictures to vectors float32 [n, d] of unit length, and features float32 [n, p]."""
    parts = [model.vision_model(pixel_values=one).pooler_output for one in pixels.split(BATCH)]
    pooled = torch.cat(parts)
    return unit(project(model, pooled).float().numpy()), pooled.float().numpy()


def _axis(vectors: np.ndarray, flags: np.ndarray) -> np.ndarray:
    """From the others to the flagged, float32 [d] of unit length."""
    step = vectors[flags].mean(axis=0) - vectors[~flags].mean(axis=0)
    return step / np.linalg.norm(step)
