"""A sweep's study: each configuration once and equal to an undisturbed run, whoever dies and whoever is slow."""

from __future__ import annotations

import concurrent.futures as cf
import functools
import sqlite3
import statistics
import threading
import time
import types
from collections import Counter

import optuna
import pytest
import sweep_run
import sweep_storage
import sweep_study
from optuna.trial import TrialState
from sweep_storage import RETRY, open_storage
from sweep_study import begin, planned
from sweep_tables import notes
from sweeps import check_alone, quietly, small_task, states, study_of


@pytest.fixture
def task(tmp_path):
    return small_task(tmp_path)


@pytest.fixture
def counted_runs(monkeypatch):
    """Runs that train nothing: the list of what was run, and an error to be raised by them."""

    def run(settings, seed, data, watch):
        runs.append((settings["loss"], seed))
        if errors:
            raise errors[0]
        return {"seed": seed, "test_accuracy": seed / 10}

    runs, errors = [], []
    monkeypatch.setattr(sweep_study, "run", run)
    return runs, errors


# One run


def test_a_run_gives_what_the_experiment_gives(task, capsys):
    settings = {**task.settings, "learning_rate": 0.01, "hidden": "5", "loss": "softmax"}
    found = sweep_run.run(settings, 7)
    assert capsys.readouterr() == ("", "")
    trained = sweep_run.steel_exec(
        2, 50, 0, hidden=(5,), standardize=True, learning_rate=0.01, seed=7, data="synthetic"
    )
    last = trained.history[-1]
    assert (found["test_accuracy"], found["last_loss"]) == (last.test_accuracy, last.loss)
    other = sweep_run.run(settings, 8)
    assert found["parameters"] != other["parameters"] and len(found["parameters"]) == 16


def test_the_mean_recall_counts_rare_classes_as_much_as_frequent_ones():
    y = sweep_run.np.eye(3)[[0, 0, 0, 1]]  # the third class is not there
    output = sweep_run.np.eye(3)[[0, 0, 2, 1]]
    assert sweep_run.mean_recall(output, y) == pytest.approx((2 / 3 + 1) / 2)


def test_a_stand_in_that_nobody_asked_for_is_no_result(task, monkeypatch):
    monkeypatch.delenv("TINYGRAD_STEEL_DATA", raising=False)
    fail = lambda name: (_ for _ in ()).throw(ConnectionError("no network"))  # noqa: E731
    monkeypatch.setattr("datasets.from_uci", fail)
    settings = {**task.settings, "learning_rate": 0.01, "hidden": "", "loss": "softmax"}
    with pytest.raises(FileNotFoundError, match="no network"):
        sweep_run.run({**settings, "data": "real"}, 1)


# What is planned


def test_a_grid_has_each_combination_with_each_seed(task):
    space = {"learning_rate": [0.1, 0.2, 0.3], "hidden": ["", "3"], "loss": ["softmax"]}
    slots = planned(task._replace(space=space))
    found = {
        (t.params["learning_rate"], t.params["hidden"], *t.user_attrs["seeds"])
        for t in slots.values()
    }
    assert len(slots) == len(found) == 3 * 2 * 2


def test_random_draws_are_the_same_everywhere_and_more_trials_begin_with_them(task):
    task = task._replace(sampler="random", space={**task.space, "learning_rate": [1e-4, 1e-1]})
    some, more = planned(task), planned(task._replace(trials=7))
    assert [*some] == [*planned(task)] and {*some} < {*more} and len(more) == 14
    rates = {t.params["learning_rate"] for t in more.values()}
    assert len(rates) == 7 and min(rates) >= 1e-4 and max(rates) <= 1e-1
    assert {*planned(task._replace(seeds=[2, 1]))}.isdisjoint(some)


# Sweeps


@pytest.mark.parametrize("sampler", ["grid", "random"])
@pytest.mark.parametrize("place", ["sqlite:///{}/sweep.db", "journal:{}/sweep.log"])
def test_each_configuration_has_one_result_equal_to_an_undisturbed_run(
    task, tmp_path, sampler, place
):
    rates = [0.01] if sampler == "grid" else [0.001, 0.1]
    space = {**task.space, "hidden": ["", "6,4"], "learning_rate": rates}
    task = task._replace(sampler=sampler, space=space, storage=place.format(tmp_path), trials=3)
    rows = quietly(task)
    assert {row["status"] for row in rows} == {"done"}
    assert len(rows) == (8 if sampler == "grid" else 6) == states(task)["COMPLETE"]
    check_alone(rows)


@pytest.mark.parametrize("experiment", ["abalone", "pulsar"])
def test_other_experiments_have_no_choice_of_losses(task, tmp_path, experiment):
    task = task._replace(storage=f"journal:{tmp_path}/sweep.log")
    space = {"learning_rate": [0.0001], "hidden": [""]}
    settings = {**task.settings, "experiment": experiment, "epochs": 1}
    rows = quietly(task._replace(space=space, settings=settings, seeds=[3]))
    assert len(rows) == 1 and "loss" not in rows[0]
    check_alone(rows)


@pytest.mark.parametrize("prune", [False, True])
def test_tpe_counts_each_trial_once_over_all_seeds(task, tmp_path, prune, monkeypatch):
    seeded = functools.partial(optuna.samplers.TPESampler, seed=0)  # so that something is pruned
    monkeypatch.setattr(optuna.samplers, "TPESampler", seeded)
    task = task._replace(storage=f"journal:{tmp_path}/sweep.log")
    space = {**task.space, "learning_rate": [1e-4, 1e-1], "hidden": ["", "4"]}
    task = task._replace(sampler="tpe", trials=12, prune=prune, space=space)
    rows = quietly(task)
    assert Counter(row["trial"] for row in rows) == dict.fromkeys(range(12), 2)
    pruned = [row for row in rows if row["status"] == "pruned"]
    assert bool(pruned) == prune and states(task)["PRUNED"] == len(pruned) / 2
    check_alone([row for row in rows if row["status"] == "done"])
    for trial in study_of(task).get_trials(states=(TrialState.COMPLETE,)):
        assert trial.value == pytest.approx(
            sum(r["test_accuracy"] for r in trial.user_attrs["results"]) / 2
        )
    assert quietly(task) == rows  # and nothing is run again
    assert len({row["trial"] for row in quietly(task._replace(trials=14))}) == 14


def test_a_restart_runs_what_is_missing_and_seeds_can_be_added(task, counted_runs):
    runs, _ = counted_runs
    quietly(task)
    assert (
        runs == [("sigmoid", 1), ("softmax", 1), ("sigmoid", 2), ("softmax", 2)]
        or len({*runs}) == 4
    )
    quietly(task)
    assert len(runs) == 4
    rows = quietly(task._replace(seeds=[1, 2, 3]))
    assert {*runs[4:]} == {("sigmoid", 3), ("softmax", 3)} and len(rows) == 6


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"space": {"learning_rate": [0.5], "hidden": [""], "loss": ["softmax"]}}, "learning_rate"),
        ({"sampler": "random"}, "sampler grid, here random"),
        ({"settings": {"experiment": "steel", "epochs": 3}}, "epochs 2, here 3"),
    ],
)
def test_a_study_of_other_settings_is_refused_and_stays_as_it_is(
    task, counted_runs, changes, words
):
    quietly(task)
    before = study_of(task).trials, study_of(task).user_attrs
    with pytest.raises(ValueError, match=f"{words}.*--study"):
        quietly(task._replace(**changes))
    assert (study_of(task).trials, study_of(task).user_attrs) == before and len(
        counted_runs[0]
    ) == 4
    assert len(quietly(task._replace(study="other", **changes))) > 0


def test_a_study_of_somebody_else_is_refused_and_stays_as_it_is(task, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    theirs = optuna.create_study(study_name=task.study, storage=open_storage(task.storage, 10))
    theirs.add_trial(optuna.create_trial(value=1.0))
    with pytest.raises(ValueError, match="no sweep's"):
        quietly(task)
    assert len(theirs.trials) == 1 and theirs.user_attrs == {}


# What fails


def test_what_a_training_raises_is_its_result_and_run_again_only_if_asked_for(task, counted_runs):
    runs, errors = counted_runs
    errors.append(FloatingPointError("the loss\nis nan"))
    rows = quietly(task)
    assert {(row["status"], row["error"]) for row in rows} == {
        ("failed", "FloatingPointError: the loss is nan")
    }
    assert len(quietly(task)) == len(runs) == 4
    errors.clear()
    rows = quietly(task, retry=True)
    assert len(runs) == 8 and len(rows) == 4
    assert {(row["status"], row["error"]) for row in rows} == {("done", "")}


def test_an_error_of_the_storage_is_no_result(task, counted_runs, monkeypatch):
    begin(task)
    training = types.SimpleNamespace(history=[types.SimpleNamespace(test_accuracy=0.5)])
    broken = optuna.exceptions.StorageInternalError("full")
    monkeypatch.setattr(optuna.Trial, "report", lambda *_: (_ for _ in ()).throw(broken))
    monkeypatch.setattr(sweep_study, "run", lambda *given: given[-1](training))
    with pytest.raises(optuna.exceptions.StorageInternalError):
        quietly(task._replace(prune=True))
    assert not any("error" in t.user_attrs for t in study_of(task).trials)


def test_a_training_stopped_by_ctrl_c_is_free_for_the_next_sweep(task, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sweep_study, "run", stop)
        with pytest.raises(KeyboardInterrupt):
            quietly(task)
    assert states(task) == {"FAIL": 1, "WAITING": 3}
    assert Counter(row["status"] for row in quietly(task)) == {"done": 4}


# Whoever dies, and whoever is slow


@pytest.mark.slow
@pytest.mark.parametrize("begun", [False, True])
def test_a_trial_without_heartbeats_is_run_again(task, counted_runs, begun):
    task = task._replace(heartbeat=1)
    study = begin(task)
    trial = optuna.Trial(study, study._pop_waiting_trial_id())  # as a worker takes it, and dies
    if begun:
        open_storage(task.storage, 1).record_heartbeat(trial._trial_id)
        trial.set_user_attr("begun", trial.number)
    assert Counter(row["status"] for row in quietly(task)) == {"done": 4}
    assert states(task) == {"COMPLETE": 4, "FAIL": 1} and len(counted_runs[0]) == 4


def test_a_trial_whose_worker_died_before_it_asked_for_a_retry_is_run_again(task, counted_runs):
    study = begin(task)
    study.tell(0, state=TrialState.FAIL) if study._pop_waiting_trial_id() else None
    assert Counter(row["status"] for row in quietly(task)) == {"done": 4}
    assert states(task) == {"COMPLETE": 4, "FAIL": 1}


def test_a_run_that_kills_its_worker_each_time_is_lost_in_the_end(task, counted_runs):
    study = begin(task)
    while (number := study._pop_waiting_trial_id()) is not None:
        trial = optuna.Trial(study, number)
        study.tell(trial.number, state=TrialState.FAIL)
        RETRY(study, study.trials[trial.number])
    rows = quietly(task)
    assert Counter(row["status"] for row in rows) == {"lost": 4} and counted_runs[0] == []
    assert states(task) == {"FAIL": 4 * (sweep_storage.TRIES + 1)}
    assert Counter(row["status"] for row in quietly(task, retry=True)) == {"done": 4}


@pytest.mark.parametrize("when", ["before", "after"])
def test_who_was_taken_for_dead_goes_on_and_is_counted_once(task, monkeypatch, when):
    def give_away():
        (trial,) = study_of(task).get_trials(states=(TrialState.RUNNING,))
        given_away.append(trial.number)
        study_of(task).tell(trial.number, state=TrialState.FAIL)
        RETRY(study_of(task), trial)

    def fmean(values):
        if when == "after" and not given_away:
            give_away()
        return statistics.mean(values)

    def slow_run(settings, seed, data, watch):
        if when == "before" and not given_away:
            give_away()
        return sweep_run.run(settings, seed, data, watch)

    given_away = []
    monkeypatch.setattr(sweep_study, "run", slow_run)
    monkeypatch.setattr(sweep_study.statistics, "fmean", fmean)
    rows = quietly(task)
    assert Counter(row["status"] for row in rows) == {"done": 4}
    assert states(task) == {"COMPLETE": 4, "FAIL": 1}
    assert given_away[0] not in {row["trial"] for row in rows}
    check_alone(rows)


def test_what_was_added_twice_is_run_once(task, counted_runs):
    study = begin(task)
    for trial in planned(task).values():
        study.add_trial(trial)
    study.add_trial(optuna.create_trial(state=TrialState.WAITING))  # of a worker that came too late
    assert len(quietly(task)) == len(counted_runs[0]) == 4


def test_no_two_workers_take_one_trial(task):
    study = begin(task._replace(seeds=[*range(50)]))

    def take_all(_):
        own = optuna.load_study(
            study_name=task.study, storage=open_storage.__wrapped__(task.storage, 10)
        )
        ready.wait()
        return [*iter(own._pop_waiting_trial_id, None)]

    ready = threading.Barrier(4)
    with cf.ThreadPoolExecutor(4) as executor:
        taken = [number for numbers in executor.map(take_all, range(4)) for number in numbers]
    assert len(taken) == len({*taken}) == 100 == len(study.trials)


@pytest.mark.slow
def test_a_locked_file_is_waited_for(task, tmp_path, counted_runs):
    begin(task)
    locked = sqlite3.connect(tmp_path / "sweep.db", isolation_level=None, check_same_thread=False)
    locked.execute("BEGIN EXCLUSIVE")
    timer = threading.Timer(8, locked.execute, ["COMMIT"])  # SQLite itself waits for 5 seconds
    timer.start()
    assert Counter(row["status"] for row in quietly(task)) == {"done": 4}
    timer.join()
    locked.close()


def test_a_file_that_stays_locked_is_an_error_in_one_line(task, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep_storage, "PATIENCE", 0.1)
    begin(task)
    with sqlite3.connect(tmp_path / "sweep.db", isolation_level=None) as locked:
        locked.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sweep_storage.ERRORS) as caught:
            quietly(task)
        locked.execute("COMMIT")
    locked.close()
    assert sweep_storage.in_words(caught.value) == "the storage says: database is locked"


def test_a_journal_says_what_it_cannot_know(task, tmp_path, counted_runs):
    task = task._replace(storage=f"journal:{tmp_path}/sweep.log")
    study = begin(task)
    trial = optuna.Trial(study, study._pop_waiting_trial_id())
    trial.set_user_attr("begun", trial.number)  # and its worker dies
    rows = quietly(task)
    assert Counter(row["status"] for row in rows) == {"done": 3, "under way": 1}
    assert "1 runs are under way elsewhere" in notes(rows)[0] and "--retry" in notes(rows)[0]
    rows = quietly(task, retry=True)
    assert Counter(row["status"] for row in rows) == {"done": 4} and len(counted_runs[0]) == 4
    assert not any("elsewhere" in note for note in notes(rows))
