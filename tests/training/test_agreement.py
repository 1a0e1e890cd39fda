"""A model is saved only if it gives its training users the segments of its training run."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from segmenter.audience_model import AudienceModel
from segmenter.errors import FitError
from segmenter.events.batches import users_until
from segmenter.segments.assignment import PrototypeAssigner
from segmenter.segments.density import Leaves
from segmenter.segments.rules import PlainFacts
from segmenter.segments.segment import Segment
from tests.training.conftest import Personas, TrainedJob
from training.agreement import Agreement, measure_agreement
from training.report.data import CORE_FIGURE, FIGURE
from training.segmentation import Segmentation
from training.selection import Choice


def test_agreement_is_stored_and_printed(trained: TrainedJob) -> None:
    data = trained.outcome.data
    assert data.figures[CORE_FIGURE] >= 0.98
    assert data.figures[FIGURE] >= 0.98
    assert any("Assigner: gives" in line for line in data.summary_lines())


def test_an_assigner_of_other_segments_is_found_out(
    trained: TrainedJob, personas: Personas
) -> None:
    model = AudienceModel.load(trained.outcome.bundle)
    users = users_until(personas.store, model.trained_as_of)
    embeddings = model.embed(personas.store, users, as_of=model.trained_as_of)
    assigned = model.assign(embeddings)
    labels = np.where(np.arange(len(users)) % 3 > 0, 0, -1)
    leaves = Leaves(np.arange(len(users)), labels, np.zeros(1))
    facts = PlainFacts(sparse.csr_matrix((len(users), 0), dtype=bool), [], {})
    segments: tuple[Segment, ...] = model.segments
    choice = Choice((), model.projection, leaves)
    found = Segmentation(
        choice, model.assigner, segments, leaves, embeddings, assigned, 1.0, facts
    )
    good = measure_agreement(model, personas.store, users, found=found, seed=0)
    assert good == Agreement(1.0, 1.0, len(users))
    good.check()
    ids = np.roll(model.assigner.segment_ids, 1)
    mixed = PrototypeAssigner(model.assigner.prototypes, ids, model.assigner.novelty_limits)
    bad = measure_agreement(
        replace(model, assigner=mixed), personas.store, users, found=found, seed=0
    )
    with pytest.raises(FitError, match="nothing was saved"):
        bad.check()
    with pytest.raises(FitError, match=r"93.0% of the core members"):
        Agreement(0.93, 0.99, 9).check()
