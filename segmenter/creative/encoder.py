"""Checkpoints that put pictures and texts into one space: CLIP and SigLIP, through transformers.

A checkpoint is a folder, or a name in the local cache; nothing is downloaded unless asked for,
weights are safetensors, and code that comes with a checkpoint is never run. Before an encoder is
used it is put to a few questions whose answers are known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoModel, AutoProcessor
from transformers.utils import logging

from segmenter.errors import EncoderError
from segmenter.files import digest_of_file, digest_of_json

ALIASES = {
    "default": "google/siglip2-base-patch16-224",
    "fast": "google/siglip2-base-patch32-256",
    "small": "openai/clip-vit-base-patch32",
}
FAMILIES = ("clip", "siglip", "siglip2")
BATCH = 16
TOLERANCE = 1e-3
"""Cosines that must be one may differ from it by so much: kernels sum in another order."""


@dataclass(frozen=True)
class Encoded:
    """Pictures in the space.

    Attributes
    ----------
    vectors
        float32 [n, d], of unit length.
    pooled
        float32 [n, p], features before the projection: a probe reads a little more from them.
    """

    vectors: np.ndarray
    pooled: np.ndarray


@dataclass(frozen=True)
class Encoder:
    """A checkpoint in use.

    Attributes
    ----------
    model, processor
        Of transformers.
    identity
        Where it is, its name and family, digests of weights and preprocessing, versions of the
        libraries: spaces of different weights are never compared.
    """

    model: Any
    processor: Any
    identity: dict[str, str]

    def pictures(self, images: Sequence[Image.Image]) -> Encoded:
        """Pictures [n] in RGB to vectors."""
        parts = [self._pictures(images[at : at + BATCH]) for at in range(0, len(images), BATCH)]
        return Encoded(
            np.concatenate([part.vectors for part in parts]),
            np.concatenate([part.pooled for part in parts]),
        )

    @torch.inference_mode()
    def _pictures(self, images: Sequence[Image.Image]) -> Encoded:
        inputs = self.processor.image_processor(images=list(images), return_tensors="pt")
        pooled = self.model.vision_model(**inputs).pooler_output
        projected = project(self.model, pooled)
        return Encoded(unit(projected.float().numpy()), pooled.float().numpy())

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """Texts [n] to vectors float32 [n, d] of unit length."""
        parts = [self._texts(texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)]
        return np.concatenate(parts)

    @torch.inference_mode()
    def _texts(self, texts: Sequence[str]) -> np.ndarray:
        found = self.model.get_text_features(**tokens_of(self.processor, self.model, texts))
        return unit(getattr(found, "pooler_output", found).float().numpy())


def project(model: Any, pooled: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 - any family
    """Pooled features of pictures [n, p] to vectors [n, d]: SigLIP has no projection."""
    projection = getattr(model, "visual_projection", None)
    return pooled if projection is None else projection(pooled)


def tokens_of(processor: Any, model: Any, texts: Sequence[str]) -> Any:  # noqa: ANN401 - as above
    """Texts as a model reads them.

    SigLIP was trained on lower-case texts padded to a fixed length, which not every processor
    does by itself (https://github.com/google-research/big_vision/issues/157).
    """
    is_siglip = model.config.model_type != "clip"
    return processor.tokenizer(
        [text.lower() for text in texts],
        padding="max_length" if is_siglip else True,
        truncation=True,
        max_length=model.config.text_config.max_position_embeddings,
        return_tensors="pt",
    )


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors float [n, d] at unit length, float32."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)


def load_encoder(name: str, *, allow_download: bool = False) -> Encoder:
    """Load a checkpoint and put it to the test.

    Parameters
    ----------
    name
        A folder, a name such as ``google/siglip2-base-patch16-224``, or an alias: ``default``,
        ``fast``, ``small``.
    allow_download
        Whether a name that is not in the local cache may be downloaded.

    Raises
    ------
    EncoderError
        If there is no such checkpoint, it is of another family, has no safetensors, or does not
        answer as an encoder of pictures and texts must.
    """
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    wanted = ALIASES.get(name, name)
    options = {"local_files_only": not allow_download, "trust_remote_code": False}
    try:
        processor = AutoProcessor.from_pretrained(wanted, **options)
        model = AutoModel.from_pretrained(wanted, use_safetensors=True, **options).eval()
    except (OSError, ValueError, KeyError, ImportError) as error:
        message = (
            f"the checkpoint {wanted} cannot be loaded: {str(error).splitlines()[0][:200]}; give "
            "a folder with config.json, model.safetensors and its processor, or allow the download"
        )
        raise EncoderError(message) from error
    family = model.config.model_type
    if family not in FAMILIES:
        message = f"{wanted} is of the family {family}; an encoder is one of {', '.join(FAMILIES)}"
        raise EncoderError(message)
    encoder = Encoder(model, processor, _identity(wanted, model, processor))
    self_test(encoder)
    return encoder


def _identity(name: str, model: Any, processor: Any) -> dict[str, str]:  # noqa: ANN401 - as above
    """What makes two encoders the same."""
    import transformers  # noqa: PLC0415 - its version alone

    weights = Path(name) / "model.safetensors"
    digest = digest_of_file(weights) if weights.exists() else _digest_of_weights(model)
    images = {
        key: value
        for key, value in processor.image_processor.to_dict().items()
        if isinstance(value, str | int | float | bool | list | dict) and "processor" not in key
    }
    return {
        "checkpoint": str(Path(name).resolve()) if Path(name).is_dir() else name,
        "name": Path(name).name if Path(name).is_dir() else name,
        "family": model.config.model_type,
        "weights": digest,
        "preprocessing": digest_of_json(images),
        "transformers": transformers.__version__,
        "torch": str(torch.__version__),
    }


def _digest_of_weights(model: Any) -> str:  # noqa: ANN401 - as above
    """SHA-256 over the digests of all tensors, by name."""
    import hashlib  # noqa: PLC0415 - for checkpoints of several files alone

    return digest_of_json(
        {
            name: hashlib.sha256(tensor.contiguous().view(torch.uint8).numpy()).hexdigest()
            for name, tensor in model.state_dict().items()
            if tensor.dim()
        }
    )


def self_test(encoder: Encoder) -> None:
    """Ask an encoder what is known.

    Capitals must not matter, words and pixels must, a picture must not depend on those beside it,
    and everything must be finite and of one length.

    Raises
    ------
    EncoderError
        If an answer is wrong.
    """
    texts = encoder.texts(["RED", "red", "a photo of a blue car in the city at night"])
    noise = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    images = [Image.new("RGB", (64, 48), "white"), Image.fromarray(noise)]
    both, alone = encoder.pictures(images).vectors, encoder.pictures(images[1:]).vectors
    answers = {
        "vectors must be finite": np.isfinite(texts).all() and np.isfinite(both).all(),
        "pictures and texts must have vectors of one length": texts.shape[1] == both.shape[1],
        "RED and red must be one": texts[0] @ texts[1] > 1 - TOLERANCE,
        "different texts must differ": texts[1] @ texts[2] < 1 - 1e-6,
        "different pictures must differ": both[0] @ both[1] < 1 - 1e-6,
        "a picture must not depend on its batch": both[1] @ alone[0] > 1 - TOLERANCE,
    }
    wrong = [what for what, holds in answers.items() if not holds]
    if wrong:
        name = encoder.identity["name"]
        message = f"the encoder {name} fails its test: {'; '.join(wrong)}; use another checkpoint"
        raise EncoderError(message)
