"""What a checkpoint of real size costs: SigLIP base shape, random weights, one thread."""

from pathlib import Path

import numpy as np
import torch
from transformers import (
    CLIPTokenizer,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
    SiglipProcessor,
)

from tests.benchmarks.measure import cost_of

N_PICTURES = 48
SETUP = """
import os
import numpy as np, torch
from PIL import Image
torch.set_num_threads(1)
from segmenter.creative.encoder import load_encoder
encoder = load_encoder(sys.argv[1])
generator = np.random.default_rng(0)
pixels = generator.integers(0, 256, (int(sys.argv[2]), 400, 600, 3), dtype=np.uint8)
images = [Image.fromarray(one) for one in pixels]
"""
WORK = """
encoder.pictures(images)
told["pictures_s"] = time.perf_counter() - wall
began = time.perf_counter()
for _ in range(5):
    encoder.texts(["an energetic outdoor scene"])
told["text_s"] = (time.perf_counter() - began) / 5
"""
SCAN = """
from segmenter.space.neighbors import score_rows, top
vectors = generator.standard_normal((100_000, 768), dtype=np.float32)
top(score_rows(vectors, vectors[0], metric="dot"), k=10)
began = time.perf_counter()
for _ in range(5):
    top(score_rows(vectors, vectors[0], metric="dot"), k=10)
told["search_s"] = (time.perf_counter() - began) / 5
"""


def base_checkpoint(folder: Path) -> Path:
    """A checkpoint folder of the shape of SigLIP base, patch 16, 224 pixels."""
    place = folder / "siglip-base-shape"
    if (place / "done").exists():
        return place
    tokenizer = CLIPTokenizer().train_new_from_iterator(
        [["a photo of a red car", "blue sky in the city at night"]], vocab_size=400
    )
    tokenizer.model_max_length = 64
    text = {"vocab_size": 32_000, "max_position_embeddings": 64}
    text |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        model = SiglipModel(SiglipConfig(text_config=text))
    model.save_pretrained(place)
    pictures = SiglipImageProcessorPil(size={"height": 224, "width": 224})
    SiglipProcessor(pictures, tokenizer).save_pretrained(place)
    (place / "done").touch()
    return place


def speed(folder: Path) -> dict[str, float]:
    """Minutes for 1,800 pictures, milliseconds of a query, memory."""
    cost = cost_of(WORK, str(base_checkpoint(folder)), str(N_PICTURES), setup=SETUP)
    scan = cost_of(SCAN, setup="import numpy as np\ngenerator = np.random.default_rng(0)")
    return {
        "minutes": float(np.round(cost.told["pictures_s"] / N_PICTURES * 1_800 / 60, 2)),
        "text_ms": 1_000 * cost.told["text_s"],
        "search_ms": 1_000 * scan.told["search_s"],
        "peak_mb": cost.peak_mb,
        "n": float(N_PICTURES),
    }
