"""What a worker is told to train: made of a run's settings, its place, and the network whose turn it is."""

from __future__ import annotations

from dataclasses import dataclass

from irnas import storage
from irnas.core.heritage import Parent
from irnas.core.proposal import Proposal
from irnas.core.settings import trial_seed
from irnas.record.run import Run
from irnas.record.trial import Trial
from irnas.training.trial import Assignment


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a run keeps its things and what it was started on."""

    uri: str
    dataset: str
    data_rev: str
    code_rev: str


def start_uri(uri: str) -> str:
    """Where the run at ``uri`` keeps its copy of the weights that its trainings start from."""
    return storage.join(uri, "start.safetensors")


def make_assignment(run: Run, place: Place, proposal: Proposal, replicate: int = 0) -> Assignment:
    """The training of a network, or one of its further trainings.

    Args:
        run: what was trained before counts: an interrupted training goes on from its checkpoint.
        place: where the run is kept.
        proposal: the network.
        replicate: 0 for the trial itself, above 0 for a further training with a seed of its own.
    """
    settings, trial = run.settings, run.trials.get(proposal.trial)
    reports = trial.reports_of(replicate) if trial and trial.is_unfinished(replicate) else []
    earlier = trial.earlier_result if trial and not replicate else None
    parent = _parent(trial, proposal) if not replicate else None
    before = earlier.epochs if earlier else 0
    return Assignment(
        trial=proposal.trial,
        genotype=proposal.genotype,
        costs=proposal.costs,
        # What is trained on sees the images in an order of its own.
        seed=trial_seed(settings.seed_of_trainings + replicate, f"{proposal.key}+{before}" if before else proposal.key),
        dataset=place.dataset,
        data_rev=place.data_rev,
        code_rev=place.code_rev,
        budget=settings.budget,
        recipe=settings.recipe,
        preset=settings.preset,
        uri=place.uri,
        spent=reports[-1].seconds if reports else 0.0,
        replicate=replicate,
        fit_on=settings.fit_on,
        validate_on=settings.validate_on,
        is_validation_seen=settings.is_validation_seen,
        keep=settings.keep,
        starts_from=start_uri(place.uri) if settings.starts_from else "",
        parent=parent,
        epochs_of_heirs=settings.epochs_of_heirs if parent else 0,
        epochs_before=before,
        threads=settings.threads,
        max_reports=settings.max_reports,
        ends_collapsed=settings.is_training,
    )


def _parent(trial: Trial | None, proposal: Proposal) -> Parent | None:
    """Whose weights the training starts from: those of an earlier training of itself, or of its parent."""
    earlier = trial.earlier_result if trial else None
    return Parent(key=earlier.key, epochs=earlier.line_epochs) if earlier else proposal.parent
