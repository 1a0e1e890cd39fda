"""What both models' segments predict of the time after the cut, paired over the same users."""

from dataclasses import dataclass

import numpy as np

from segmenter.validity.lift import Interval, interval, resampled_users
from segmenter.validity.outcomes import future_outcomes
from segmenter.validity.scoring import Scorer, grouping, rows_of
from segmenter.validity.taste import taste_outcomes
from segmenter.validity.trial import (
    Trial,
    ValiditySettings,
    clusterings,
    features,
    rules,
    tested_segments,
)
from segmenter.validity.validate import summaries_of
from segmenter.validity.validity_report import ValidityReport
from training.review.slices import Slice

CHAMPION_ROW = "Champion"
CHAMPION_KIND = "champion"


@dataclass(frozen=True)
class Prediction:
    """What the challenger's segments predict beside the champion's and beside the floors.

    Attributes
    ----------
    report
        Rows of scores, the challenger first; without outcomes where nothing can be judged.
    over_champion
        Mean over the outcomes of the challenger's score minus the champion's, paired over users;
        None where there is no champion or no outcome.
    """

    report: ValidityReport
    over_champion: Interval | None


def predict(part: Slice, challenger: np.ndarray, champion: np.ndarray | None) -> Prediction:
    """Hold both segmentations against what users did after the cut.

    Parameters
    ----------
    part
        The slice.
    challenger, champion
        int [n], segment of each of its users by either model; None where there is no champion.
    """
    store, users, cut, end = part.store, part.users, part.cut, max(part.cut, part.store.newest + 1)
    trial = Trial(store, users, challenger, cut, end, ValiditySettings(seed=part.seed))
    asked = (
        *future_outcomes(store, users, cut=cut, end=end),
        *taste_outcomes(store, users, cut=cut, end=end),
    )
    if not asked:
        reason = (
            "the store has no event after the cut"
            if store.newest < cut
            else "what these users did after the cut varies too little to be predicted"
        )
        return Prediction(ValidityReport(cut, end, len(users), reason=reason), None)
    candidates = [tested_segments(trial)]
    if champion is not None:
        named = {"": champion}
        candidates.append(grouping(CHAMPION_ROW, CHAMPION_KIND, named, seed=part.seed))
    candidates += [*rules(trial, None), *clusterings(trial, features(trial))]
    weights = resampled_users(len(users), n_draws=trial.settings.n_draws, seed=part.seed)
    scorer = Scorer(asked, weights, seed=part.seed)
    scored = [scorer.score(candidate) for candidate in candidates]
    report = ValidityReport(cut, end, len(users), summaries_of(asked), rows_of(scored, asked))
    if champion is None:
        return Prediction(report, None)
    pairs = zip(scored[0].figures, scored[1].figures, strict=True)
    mean = np.mean([own - other for own, other in pairs], axis=0)
    return Prediction(report, interval(mean))
