"""The training job: event store and configuration in, registered model version and report out.

Every step leaves its result in the job's own folder under the MLflow home, so that a killed job
resumes where it was, and the same job asked for twice is done once.
"""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import filelock
import numpy as np

from segmenter.audience_model import AudienceModel, embed_users
from segmenter.autoencoder.sensitivity import decoder_metric, forecast_information
from segmenter.bundle import read_bundle
from segmenter.clock import iso
from segmenter.events.batches import SequenceReader, history_ends
from segmenter.files import atomic_file, digest_of_json, write_json, write_text
from segmenter.mlflow_home import MlflowHome
from segmenter.segments.layout import fill_compile_cache
from segmenter.segments.sensitive import all_topics, with_flags
from segmenter.terminal import ProgressCallback
from segmenter.validity.validity_report import ValidityReport
from training.agreement import measure_agreement
from training.continuation import (
    MOVED,
    Continuation,
    continue_segments,
    place_by_parent,
    segment_flow,
    with_carried_names,
    write_moved,
)
from training.encoder_choice import HYBRID
from training.fit import FittedNetwork, fit_network, leave_a_core
from training.inner_slice import InnerSlice, inner_slice, sampled_rows
from training.judging import Placement, judge
from training.nesting import Inherited, fit_levels
from training.plan import BUNDLE, FINISHED, REPORT, TrainPlan
from training.portrait import Portrait, portray
from training.refit import FIT_TIME, compare_with_parent, counted_time
from training.refit_report import Refit
from training.registration import VALIDITY_TAG, RegisteredVersion, register
from training.report.data import BELOW_FLOOR, ReportData
from training.report.page import render
from training.segmentation import Segmentation, fit_segments
from training.selection import choose_level
from training.summary import build_report
from training.tracking import Tracker
from training.warm_start import WarmStart

Bar = Callable[[str], AbstractContextManager[ProgressCallback]]
"""Opens a progress bar with a description."""


@dataclass(frozen=True)
class TrainOutcome:
    """What a training job left behind; everything named exists.

    Attributes
    ----------
    version
        The registered model version.
    bundle, report
        The model's folder and its page.
    data
        What the report shows: segments, validity, figures of the fit.
    reused
        Whether an earlier, finished job answered.
    unlogged
        What could not be written to MLflow, in words.
    """

    version: RegisteredVersion
    bundle: Path
    report: Path
    data: ReportData
    reused: bool
    unlogged: tuple[str, ...]


def train(plan: TrainPlan, bar: Bar) -> TrainOutcome:
    """Run, resume or reuse a training job.

    Parameters
    ----------
    plan
        From `training.plan.plan_training`.
    bar
        Opens a progress bar per step.

    Raises
    ------
    FitError
        If the data cannot carry the model.
    RegistryError
        If the model was trained but could not be registered; the same command registers it later.
    """
    home, folder = MlflowHome(plan.request.mlruns), plan.folder
    home.prepare()
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / "lock"):
        reused = plan.is_finished
        name = plan.request.config.name
        tracking = Tracker.start(home, name, resume=folder / "run.json")
        with tracking as tracker, leave_a_core():
            if not (folder / BUNDLE).exists():
                _fit(plan, tracker, bar)
            data, version = _publish(plan, tracker, log=not reused)
        write_json(folder / FINISHED, {"version": version.label})
        unlogged = tuple(f"{failure.what}: {failure.reason}" for failure in tracker.failures)
        return TrainOutcome(version, folder / BUNDLE, folder / REPORT, data, reused, unlogged)


def _fit(plan: TrainPlan, tracker: Tracker, bar: Bar) -> None:
    """Network, segments, validity, bundle: all steps in order, on one screen."""
    config = plan.request.config
    start = plan.request.start
    origin = {} if start is None else {"from": start.label}
    tracker.log_params(config.to_json() | {"as_of": iso(plan.as_of)} | origin)
    tracker.log_data("events", plan.store.digest, source=str(plan.store.path))
    compiling = None if "umap" in sys.modules else fill_compile_cache()
    with bar("Training the autoencoder") as progress, counted_time(plan.folder / FIT_TIME):
        network = fit_network(
            plan.store,
            config if start is None else start.learning(config),
            as_of=plan.as_of,
            folder=plan.folder,
            start=None if start is None else start.model.network,
            on_epoch=lambda stage, epoch, metrics: tracker.log_metrics(
                {f"{stage} {name}": value for name, value in metrics.items()}, step=epoch
            ),
            progress=progress,
        )
    embeddings = _embed(plan, network, bar)
    if compiling is not None:
        compiling.wait()
    segmentation, continued = _segment(plan, network, embeddings, bar=bar)
    validity = _validate(plan, network, segmentation, embeddings=embeddings, bar=bar)
    portrait = portray(plan, segmentation, embeddings)
    _keep(plan, network, segmentation, continued=continued, validity=validity, portrait=portrait)


def _keep(
    plan: TrainPlan,
    network: FittedNetwork,
    segmentation: Segmentation,
    *,
    continued: Continuation | None,
    validity: ValidityReport | None,
    portrait: Portrait,
) -> None:
    """Write the bundle with its report and, of a refit, with what became of the parent."""
    config, start = plan.request.config, plan.request.start
    topics = all_topics(config.sensitive)
    segmentation = replace(segmentation, segments=with_flags(segmentation.segments, topics))
    levels = segmentation.levels
    if levels is not None:
        levels = levels.with_descriptions(
            with_flags(levels.macros, topics), with_flags(levels.micros, topics)
        )
        segmentation = replace(segmentation, levels=levels)
    model = AudienceModel(
        network.model,
        segmentation.choice.projection,
        segmentation.assigner,
        segmentation.segments,
        training={
            "as_of_us": plan.as_of,
            "as_of": iso(plan.as_of),
            "config": config.to_json(),
            "store_digest": plan.store.digest,
            "n_users": len(plan.users),
            "n_events": plan.n_events,
            "taste_weight": segmentation.choice.level.taste_weight,
            "metric": segmentation.choice.level.metric,
            **portrait.for_model(),
            **({} if start is None else {"parent": start.to_json()}),
        },
        hierarchy=segmentation.levels,
    )
    refit = None
    if start is not None and continued is not None:
        refit = _refit(plan, network, start=start, segmentation=segmentation, found=continued)
        flow = refit.segments.flow if refit.segments is not None else ()
        lineage = start.model.lineage.after_refit(model.segments, flow, at=iso(plan.as_of))
        model = replace(model, lineage=lineage)
    agreement = measure_agreement(
        model, plan.store, plan.users, found=segmentation, seed=config.seed
    )
    agreement.check()
    report = build_report(plan, segmentation, network=network, validity=validity, refit=refit)
    report = replace(
        report, figures=report.figures | agreement.figures(), portrait=portrait.to_json()
    )
    model.save(plan.folder / BUNDLE, documents={"report": report.to_json()})


def _refit(
    plan: TrainPlan,
    network: FittedNetwork,
    *,
    start: WarmStart,
    segmentation: Segmentation,
    found: Continuation,
) -> Refit:
    """The model beside the one that it started from."""
    return compare_with_parent(
        start,
        network.model,
        plan.store,
        as_of=plan.as_of,
        folder=plan.folder,
        segments=segment_flow(found, segmentation.assignment.segment_id, start.model),
        seed=plan.request.config.seed,
    )


def _embed(plan: TrainPlan, network: FittedNetwork, bar: Bar) -> np.ndarray:
    """Embeddings of the training users, kept in the job's folder."""
    path = plan.folder / "embeddings.npy"
    if path.exists():
        return np.load(path)
    with bar("Embedding users") as progress:
        embeddings = embed_users(
            network.model, plan.store, plan.users, as_of=plan.as_of, progress=progress
        )
    with atomic_file(path) as temporary, temporary.open("wb") as opened:
        np.save(opened, embeddings)
    return embeddings


def _metric(network: FittedNetwork, embeddings: np.ndarray) -> np.ndarray | None:
    """Distance between users by what is forecast for them, [F, F]; None where little is."""
    if network.encoder.kind != HYBRID:
        return None
    forecast = embeddings[:, : network.model.config.forecast_dimensions]
    return decoder_metric(forecast_information(network.model.forecast_heads, forecast))


def _segment(
    plan: TrainPlan, network: FittedNetwork, embeddings: np.ndarray, *, bar: Bar
) -> tuple[Segmentation, Continuation | None]:
    """Segments of the chosen level, or of a refit those that its parent's became."""
    config, start = plan.request.config, plan.request.start
    earlier, continued = earlier_slice(plan, network), None
    if start is None:
        with bar("Choosing the level") as progress:
            choice = choose_level(
                embeddings,
                earlier,
                config,
                n_forecast=network.model.config.forecast_dimensions,
                metric=_metric(network, embeddings),
                progress=progress,
            )
    else:
        with bar("Going on with the segments"):
            placed = place_by_parent(start.model, plan.store, plan.users, as_of=plan.as_of)
            continued = continue_segments(
                start.model, embeddings, placed, earlier=earlier, seed=config.seed
            )
        choice = continued.choice
    with bar("Finding segments") as progress:
        segmentation = fit_segments(
            embeddings,
            SequenceReader(plan.store, network.model.vocabulary),
            plan.users,
            as_of=plan.as_of,
            choice=choice,
            seed=config.seed,
            progress=progress,
        )
    if start is not None and continued is not None:
        ids = plan.store.user_ids().gather(plan.users)
        segment_id = segmentation.assignment.segment_id
        write_moved(plan.folder / MOVED, ids, users=continued.users, segment_id=segment_id)
        segmentation = with_carried_names(segmentation, start.model)
    return _nested(plan, segmentation, embeddings, continued=continued), continued


def _nested(
    plan: TrainPlan,
    segmentation: Segmentation,
    embeddings: np.ndarray,
    *,
    continued: Continuation | None,
) -> Segmentation:
    """The segments with the levels above and below them."""
    start, inherited = plan.request.start, None
    if start is not None and continued is not None and start.model.hierarchy is not None:
        inherited = Inherited(start.model.hierarchy, continued.split_from)
    levels = fit_levels(
        segmentation,
        segmentation.choice.projection(embeddings),
        at=iso(plan.as_of),
        seed=plan.request.config.seed,
        inherited=inherited,
    )
    return replace(segmentation, levels=levels)


def earlier_slice(plan: TrainPlan, network: FittedNetwork) -> InnerSlice | None:
    """Users as they were at the last inner cut, and what they did after it.

    Returns
    -------
    InnerSlice or None
        None where the log is too short for a cut inside the training period.
    """
    if not network.histories.window_days:
        return None
    cut, seed = int(network.histories.cuts.max()), plan.request.config.seed
    starts = np.asarray(plan.store.offsets)[plan.users]
    users = plan.users[history_ends(plan.store, plan.users, cut) > starts]
    users = users[sampled_rows(len(users), seed=seed)]
    embeddings = embed_users(network.model, plan.store, users, as_of=cut)
    return inner_slice(plan.store, users, embeddings, cut=cut, end=plan.as_of, seed=seed)


def _validate(
    plan: TrainPlan,
    network: FittedNetwork,
    segmentation: Segmentation,
    *,
    embeddings: np.ndarray,
    bar: Bar,
) -> ValidityReport | None:
    """Hold the segments against what users did after the training period, if it is known."""
    request = plan.request
    if plan.store.newest <= plan.as_of and request.tables.outcomes is None:
        return None
    with bar("Checking against later behaviour") as progress:
        return judge(
            plan.store,
            Placement(plan.users, segmentation.assignment.segment_id, embeddings, plan.as_of),
            network.model,
            tables=request.tables,
            seed=request.config.seed,
            progress=progress,
        )


def _publish(
    plan: TrainPlan, tracker: Tracker, *, log: bool
) -> tuple[ReportData, RegisteredVersion]:
    """Register the bundle, and unless that was done, log its figures and write its page."""
    bundle, config = plan.folder / BUNDLE, plan.request.config
    data = ReportData.from_json(read_bundle(bundle).documents["report"])
    if log:
        tracker.log_metrics(data.metrics(), step=0)
    version = register(
        tracker,
        bundle,
        config.name,
        tags={
            "store.digest": plan.store.digest,
            "config.digest": digest_of_json(config.to_json()),
            "as_of": iso(plan.as_of),
            VALIDITY_TAG: data.standing,
        },
        description=data.headline(),
        may_lead=data.standing != BELOW_FLOOR,
    )
    data = data.with_version(version.version)
    if log:
        page = plan.folder / REPORT
        write_text(page, render(data))
        tracker.log_artifact(page)
    return data, version
