"""A sweep's study: what it plans, how a worker takes a trial and runs it, and what is known in the end."""

from __future__ import annotations

import copy
import datetime
import functools
import itertools
import json
import math
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import optuna
from optuna.exceptions import OptunaError, UpdateFinishedTrialError
from optuna.samplers import GridSampler, RandomSampler
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState
from sweep_run import Run, run
from sweep_storage import MISSED, RETRY, TRIES, open_storage, open_study, unwarned


class NoResult(Exception):
    """Ends a trial whose training has failed, or whose place another trial has."""


class Task(NamedTuple):
    """All that a worker has to know."""

    storage: str  # the URL of a database, `journal:FILE` or `redis://...`
    study: str
    heartbeat: int  # seconds
    prune: bool
    sampler: str  # "grid", "random" or "tpe"
    trials: int  # how many configurations, for random and tpe
    seeds: list[int]
    space: dict[str, list[Any]]  # what to choose from, by the name of the setting
    settings: dict[str, Any]  # those that are the same for all
    data: str | None  # where this machine has the real data


def begin(task: Task, retry: bool = False) -> optuna.Study:
    """The sweep's study, where all that it plans waits or is finished; `retry`: failed runs wait again.

    Raises ValueError for a study of this name that has other settings, or is no sweep's.
    """
    storage = open_storage(task.storage, task.heartbeat)
    mine = {**task.settings, **task.space, "sampler": task.sampler}
    if task.sampler != "grid":  # to a grid, seeds can be added; to random, if they begin alike
        mine["seeds"] = task.seeds if task.sampler == "tpe" else task.seeds[0]
    try:
        optuna.create_study(study_name=task.study, storage=storage, direction="maximize")
        filling = 0
    except optuna.exceptions.DuplicatedStudyError:
        filling = 100
    study = open_study(task.storage, task.study, task.heartbeat, task.prune)
    for _ in range(filling):  # by whoever has created it, and may have died
        if "plan" not in study.user_attrs:
            time.sleep(0.1)
    there = study.user_attrs.get("plan")
    if there is None and not all("slot" in trial.user_attrs for trial in study.trials):
        raise ValueError(f"study {task.study!r} is no sweep's: choose another name by --study")
    if differ := [name for name in mine if there and there.get(name) != mine[name]]:
        what = "; ".join(f"{name} {there.get(name)}, here {mine[name]}" for name in differ)
        raise ValueError(f"study {task.study!r} has {what}: choose another name by --study")
    if retry and not isinstance(storage, RDBStorage):
        give_back(study, study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))
    fill(study, task, retry)
    study.set_user_attr("plan", mine)
    return study


def suggest(trial: Trial, space: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """A configuration: a rate between the least and the greatest, and one of each of the others."""
    rates = space["learning_rate"]
    rate = trial.suggest_float("learning_rate", rates[0], rates[-1], log=True)
    others = [name for name in space if name != "learning_rate"]
    choices = {name: trial.suggest_categorical(name, space[name]) for name in others}
    return {"learning_rate": rate, **choices}


def planned(task: Task) -> dict[str, FrozenTrial]:
    """The trials of a sweep, each by its slot: what is to be found out exactly once."""
    if task.sampler == "tpe":  # which chooses when a trial is run
        slots = [(i, task.seeds, {}, {}) for i in range(task.trials)]
    else:
        # Drawn here, in one place: workers with a sampler each would draw some twice, and lose others.
        grid = task.sampler == "grid"
        sampler = GridSampler(task.space) if grid else RandomSampler(task.seeds[0])
        count = math.prod(map(len, task.space.values())) if grid else task.trials
        study = optuna.create_study(sampler=sampler)
        draws = [study.ask() for _ in range(count)]
        chosen = [(suggest(draw, task.space), draw.distributions) for draw in draws]
        slots = [
            ({**task.settings, **params, "seed": seed}, [seed], params, distributions)
            for seed, (params, distributions) in itertools.product(task.seeds, chosen)
        ]
    found = {}
    for slot, seeds, params, distributions in slots:
        key = json.dumps(slot, sort_keys=True)
        found[key] = optuna.create_trial(
            state=TrialState.WAITING,
            params=params,
            distributions=distributions,
            user_attrs={"slot": key, "settings": task.settings, "seeds": seeds},
        )
    return found


def status(trial: FrozenTrial) -> str:
    """What has become of a trial: done, pruned, under way, failed or lost."""
    if trial.state == TrialState.FAIL:
        return "failed" if "error" in trial.user_attrs else "lost"
    return {"COMPLETE": "done", "PRUNED": "pruned"}.get(trial.state.name, "under way")


def counted(study: optuna.Study) -> dict[str, FrozenTrial]:
    """The one trial of each slot that counts: the first that is finished, else what comes nearest."""
    ranks = {"done": 0, "pruned": 0, "under way": 1, "failed": 2, "lost": 3}
    found: dict[str, FrozenTrial] = {}
    for trial in study.get_trials(deepcopy=False):
        slot = trial.user_attrs.get("slot")
        known = found.get(slot)
        if slot and (known is None or ranks[status(trial)] < ranks[status(known)]):
            found[slot] = trial
    return found


def fill(study: optuna.Study, task: Task, retry: bool = False) -> int:
    """Have all wait that is planned and neither finished nor under way; return how many these are.

    Lost are also trials whose worker died after it gave them up and before it asked for a retry.
    """
    found = counted(study)
    tried = Counter(trial.user_attrs.get("slot") for trial in study.get_trials(deepcopy=False))
    wanted = [
        trial
        for slot, trial in planned(task).items()
        if slot not in found
        or (status(found[slot]) == "lost" and tried[slot] <= TRIES)
        or (status(found[slot]) in ("failed", "lost") and retry)
    ]
    for trial in wanted:
        study.add_trial(trial)
    return len(wanted)


def give_back(study: optuna.Study, lost: Iterable[FrozenTrial]) -> None:
    """Have these running trials wait again."""
    for trial in lost:
        try:
            study.tell(trial.number, state=TrialState.FAIL)
        except (ValueError, UpdateFinishedTrialError):
            continue  # finished, or given back by another
        RETRY(study, copy.deepcopy(trial))


def never_begun(task: Task, trial: FrozenTrial) -> bool:
    """Whether a trial's worker died before its first heartbeat, without which Optuna does not miss it."""
    if trial.user_attrs.get("begun") == trial.number or trial.datetime_start is None:
        return False
    age = datetime.datetime.now() - trial.datetime_start
    return age.total_seconds() > MISSED * task.heartbeat


def work(task: Task) -> bool:
    """Run one trial, if there is one; return whether there is, or may be, more to do."""
    study = open_study(task.storage, task.study, task.heartbeat, task.prune)
    unwarned(optuna.storages.fail_stale_trials, study)
    trials = study.get_trials(deepcopy=False)
    running = [trial for trial in trials if trial.state == TrialState.RUNNING]
    give_back(study, [trial for trial in running if never_begun(task, trial)])
    if any(trial.state == TrialState.WAITING for trial in trials):
        try:
            study.optimize(functools.partial(objective, task), n_trials=1, catch=(NoResult,))
        except (ValueError, AssertionError, UpdateFinishedTrialError) as error:
            # Taken for dead while it was stopped, or waited: the trial is another's. Optuna has three words for it.
            if "Cannot tell" not in f"{error} {error.__context__}" and "finished" not in str(error):
                raise
        return True
    if running and isinstance(open_storage(task.storage, task.heartbeat), RDBStorage):
        time.sleep(1)  # its worker may die
        return True
    return fill(study, task) > 0


def objective(task: Task, trial: Trial) -> float:
    """The mean test accuracy of one configuration over its seeds."""
    storage, given = open_storage(task.storage, task.heartbeat), trial.user_attrs
    if isinstance(storage, RDBStorage):
        storage.record_heartbeat(trial._trial_id)  # Optuna's first comes a moment later
    trial.set_user_attr("begun", trial.number)
    if "slot" not in given or counted_by_another(trial, given["slot"]):
        trial.set_user_attr("slot", None)
        raise NoResult
    settings = {**given["settings"], **(trial.params or suggest(trial, task.space))}
    steps, results = itertools.count(), []

    def watch(training: Run) -> None:
        if not training.history:
            return
        trial.report(training.history[-1].test_accuracy, next(steps))
        if trial.should_prune():
            raise optuna.TrialPruned

    try:
        for seed in given["seeds"]:
            results.append(run(settings, seed, task.data, watch if task.prune else None))
            trial.set_user_attr("results", results)
    except OptunaError:
        raise  # pruned, or of the storage
    except Exception as error:  # whatever a training raises is its result
        trial.set_user_attr("error", f"{type(error).__name__}: {' '.join(str(error).split())}")
        raise NoResult from error
    return statistics.fmean(result["test_accuracy"] for result in results)


def counted_by_another(trial: Trial, slot: str) -> bool:
    """Whether an earlier trial has this one's place: two sweeps that mend a study at once may both add it."""
    same = (t for t in trial.study.get_trials(deepcopy=False) if t.user_attrs.get("slot") == slot)
    return any(t.number < trial.number and t.state != TrialState.FAIL for t in same)


def rows(study: optuna.Study) -> dict[tuple[int, int], dict[str, Any]]:
    """What is known of each training, by its trial's number and its seed: settings, status and results."""
    found = {}
    for trial in counted(study).values():
        given, what = trial.user_attrs, status(trial)
        results = given.get("results", []) if what in ("done", "pruned") else []
        row = {**given["settings"], **trial.params, "trial": trial.number, "status": what}
        row["error"] = given["error"] if what == "failed" else ""
        found |= {(trial.number, seed): {**row, "seed": seed} for seed in given["seeds"]}
        for result in results:
            found[trial.number, result["seed"]] |= result
    return found
