"""A tiny CLIP that is trained on the procedural advertisements, saved as any checkpoint is."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPProcessor,
    CLIPTokenizer,
)

from tests.creative.ads import SIDE, Ads, corpus, draw_pictures, picture_bits, write_captions

MEAN, SPREAD = (0.5, 0.5, 0.5), (0.27, 0.27, 0.27)
MAX_TOKENS = 40


@dataclass(frozen=True)
class Recipe:
    """How the tiny CLIP is made.

    Attributes
    ----------
    n_pictures, n_epochs, batch, rate
        Of the training.
    width, layers
        Of both towers.
    seed
        Of the corpus, the initial weights and the order.
    biased
        Whether energetic pictures mostly have one presenter.
    """

    n_pictures: int = 5_000
    n_epochs: int = 12
    batch: int = 125
    rate: float = 2e-3
    width: int = 64
    layers: int = 2
    patch: int = 8
    seed: int = 0
    biased: bool = False


def train(recipe: Recipe, folder: Path) -> None:
    """Train and save a checkpoint folder: weights, tokenizer, processor."""
    ads = corpus(recipe.n_pictures, seed=recipe.seed, biased=recipe.biased)
    tokenizer = _tokenizer(ads)
    model = _model(recipe, tokenizer)
    pixels = as_pixels(draw_pictures(ads, seed=recipe.seed))
    _fit(model, recipe, (ads, pixels), tokenizer=tokenizer)
    model.save_pretrained(folder)
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": SIDE},
        crop_size={"height": SIDE, "width": SIDE},
        image_mean=MEAN,
        image_std=SPREAD,
    )
    CLIPProcessor(processor, tokenizer).save_pretrained(folder)


def as_pixels(pictures: np.ndarray) -> torch.Tensor:
    """Pictures uint8 [n, side, side, 3] as the model reads them."""
    scaled = (pictures.astype(np.float32) / 255 - np.array(MEAN, np.float32)) / np.array(
        SPREAD, np.float32
    )
    return torch.from_numpy(scaled).permute(0, 3, 1, 2).contiguous()


def _tokenizer(ads: Ads) -> CLIPTokenizer:
    texts = [write_captions(ads.take(np.arange(600)), seed=seed)[0] for seed in (1, 2)]
    made = CLIPTokenizer().train_new_from_iterator(texts, vocab_size=450)
    made.model_max_length = MAX_TOKENS
    return made


def _model(recipe: Recipe, tokenizer: CLIPTokenizer) -> CLIPModel:
    tower = {
        "hidden_size": recipe.width,
        "intermediate_size": 2 * recipe.width,
        "num_hidden_layers": recipe.layers,
        "num_attention_heads": 4,
        "projection_dim": recipe.width,
    }
    text = {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": MAX_TOKENS,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = {"image_size": SIDE, "patch_size": recipe.patch}
    config = CLIPConfig(
        text_config=tower | text, vision_config=tower | vision, projection_dim=recipe.width
    )
    with torch.random.fork_rng():
        torch.random.manual_seed(recipe.seed)
        return CLIPModel(config)


def _fit(
    model: CLIPModel,
    recipe: Recipe,
    library: tuple[Ads, torch.Tensor],
    *,
    tokenizer: CLIPTokenizer,
) -> None:
    """Contrastive training in which a caption is right for every picture it is true of."""
    ads, pixels = library
    has = torch.from_numpy(picture_bits(ads))
    generator = torch.Generator().manual_seed(recipe.seed)
    n_steps = recipe.n_epochs * (len(ads) // recipe.batch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.rate, weight_decay=0.05)
    warm = max(n_steps // 20, 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / warm, 0.5 * (1 + math.cos(math.pi * step / n_steps))),
    )
    model.train()
    for epoch in range(recipe.n_epochs):
        captions, named = write_captions(ads, seed=recipe.seed + 100 + epoch)
        tokens = tokenizer(captions, padding=True, return_tensors="pt")
        order = torch.randperm(len(ads), generator=generator)
        for rows in order.split(recipe.batch):
            if len(rows) < recipe.batch:
                continue
            loss = _loss(
                model(
                    input_ids=tokens.input_ids[rows],
                    attention_mask=tokens.attention_mask[rows],
                    pixel_values=pixels[rows],
                ).logits_per_image,
                has[rows],
                torch.from_numpy(named[rows.numpy()]),
            )
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    model.eval()


def _loss(scores: torch.Tensor, has: torch.Tensor, named: torch.Tensor) -> torch.Tensor:
    """Cross-entropy both ways with equal weight on every right answer."""
    right = (has @ named.T == named.sum(dim=1)).float()  # picture by caption
    losses = []
    for score, wanted in ((scores, right), (scores.T, right.T)):
        share = wanted / wanted.sum(dim=1, keepdim=True)
        losses.append(-(share * score.log_softmax(dim=1)).sum(dim=1).mean())
    return torch.stack(losses).mean()
