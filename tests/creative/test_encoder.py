"""Checkpoints: loaded by one code path, tested at the start, refused where they are not safe."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPModel

from segmenter.creative.encoder import Encoder, load_encoder, self_test
from segmenter.errors import EncoderError, ExtraMissingError
from tests.creative.ads import (
    PHRASES,
    draw_ads,
    draw_pictures,
    unseen_combinations,
    write_captions,
)
from tests.creative.tiny_clip import as_pixels


def images(pictures: np.ndarray) -> list[Image.Image]:
    return [Image.fromarray(one) for one in pictures]


def found_in_ten(encoder: Encoder, ads, seed: int) -> float:
    """Share of pictures among the ten best of their own complete caption."""
    vectors = encoder.pictures(images(draw_pictures(ads, seed=seed))).vectors
    captions, _ = write_captions(ads, seed=seed, complete=True)
    scores = encoder.texts(captions) @ vectors.T
    return float(((scores > np.diag(scores)[:, None]).sum(axis=1) < 10).mean())


def test_the_tiny_encoder_is_worth_testing_with(encoder: Encoder) -> None:
    assert found_in_ten(encoder, draw_ads(360, seed=9_001), 9_001) >= 0.85
    assert found_in_ten(encoder, unseen_combinations(360, seed=9_002), 9_002) >= 0.6


def test_a_checkpoint_reads_pictures_as_it_was_trained_to(encoder: Encoder) -> None:
    pictures = draw_pictures(draw_ads(20, seed=1), seed=1)
    with torch.inference_mode():
        pooled = encoder.model.get_image_features(pixel_values=as_pixels(pictures)).pooler_output
    expected = torch.nn.functional.normalize(pooled, dim=1).numpy()
    found = encoder.pictures(images(pictures))
    np.testing.assert_allclose(found.vectors, expected, atol=1e-4)
    assert found.pooled.shape == (20, 64)


def test_capitals_do_not_matter_and_words_do(encoder: Encoder) -> None:
    words = PHRASES["energy"]["high"][0]
    one, other, different = encoder.texts([words, words.upper(), PHRASES["energy"]["low"][0]])
    np.testing.assert_allclose(one, other, atol=1e-6)
    assert one @ different < 0.99


def test_an_encoder_that_answers_wrongly_is_refused(encoder: Encoder) -> None:
    class Shouting:
        """A tokenizer for which capitals matter, as of a checkpoint without lower case."""

        def __call__(self, texts, **options):
            changed = [f"{text} loud" if place == 0 else text for place, text in enumerate(texts)]
            return encoder.processor.tokenizer(changed, **options)

    class Processor:
        tokenizer = Shouting()
        image_processor = encoder.processor.image_processor

    with pytest.raises(EncoderError, match="RED and red must be one"):
        self_test(Encoder(encoder.model, Processor(), encoder.identity))


def test_what_is_no_safe_checkpoint_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="cannot be loaded"):
        load_encoder(str(tmp_path / "nowhere"))
    unsafe = Path(shutil.copytree(checkpoint, tmp_path / "unsafe"))
    (unsafe / "model.safetensors").rename(unsafe / "pytorch_model.bin")
    with pytest.raises(EncoderError, match="cannot be loaded"):
        load_encoder(str(unsafe))
    coded = Path(shutil.copytree(checkpoint, tmp_path / "coded"))
    config = json.loads((coded / "config.json").read_text("utf-8"))
    config["model_type"] = "own"
    config["auto_map"] = {"AutoModel": "own.Model", "AutoConfig": "own.Config"}
    (coded / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (coded / "own.py").write_text("raise SystemExit('ran')", encoding="utf-8")
    with pytest.raises(EncoderError, match="cannot be loaded"):
        load_encoder(str(coded))


def test_the_identity_is_of_the_weights_and_of_the_preprocessing(
    checkpoint: Path, encoder: Encoder, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(checkpoint, tmp_path / "moved"))
    same = load_encoder(str(moved)).identity
    place = {"name": "", "checkpoint": ""}
    assert same | place == encoder.identity | place
    CLIPModel(CLIPConfig.from_pretrained(moved)).save_pretrained(moved)
    assert load_encoder(str(moved)).identity["weights"] != encoder.identity["weights"]


def test_without_the_extra_a_command_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['transformers'] = None\n"
        "import importlib.util as util; find = util.find_spec\n"
        "util.find_spec = lambda name, *more: "
        "None if name == 'transformers' else find(name, *more)\n"
        "from segmenter.creative.extras import require_extra\n"
        "from segmenter.errors import ExtraMissingError\n"
        "try:\n    require_extra()\n"
        "except ExtraMissingError as error:\n    print(error)\n"
    )
    done = subprocess.run(  # noqa: S603 - the code stands above
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "pip install '.[creative]'" in done.stdout
    assert issubclass(ExtraMissingError, Exception)
