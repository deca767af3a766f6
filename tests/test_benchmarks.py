"""The benchmark itself: a clean environment, equality before time, tables that are put where the old ones were."""

import importlib
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import documents
import numpy as np
import pytest

BENCHMARKS = documents.ROOT / "tests" / "benchmarks"
ASKED = """
import json, os, sys
import machine
lines = machine.prepare({arguments})
cores = [*os.sched_getaffinity(0)] if hasattr(os, "sched_getaffinity") else None
print(json.dumps([lines, dict(os.environ), cores, "numpy" in sys.modules]))
"""


@pytest.fixture
def part(monkeypatch):
    """A module of the benchmark, by name; gone again afterwards, as these names are short."""
    before = {*sys.modules}
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module
    for name in {*sys.modules} - before:
        if str(BENCHMARKS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def prepared(arguments="", **variables):
    """What a process with these variables says after `machine.prepare`."""
    done = subprocess.run(
        [sys.executable, "-c", ASKED.format(arguments=arguments)],
        env={**os.environ, **variables, "PYTHONPATH": str(BENCHMARKS)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_what_distorts_is_taken_out_before_numpy_loads():
    distorting = {
        "OPENBLAS_CORETYPE": "Haswell",
        "OMP_PROC_BIND": "true",
        "MKL_CBWR": "COMPATIBLE",
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_OPT": "0",
        "XLA_FLAGS": "--xla_cpu_enable_fast_math=true",
    }
    lines, environment, cores, numpy_is_loaded = prepared(**distorting, OMP_NUM_THREADS="7")
    left = {*distorting} & {*environment}
    assert left <= ({"XLA_FLAGS"} if cores is None else set())  # one thread, where there is no pin
    assert environment["OMP_NUM_THREADS"] == environment["OPENBLAS_NUM_THREADS"] == "1"
    assert cores is None or len(cores) == 1
    assert not numpy_is_loaded
    assert any("OPENBLAS_CORETYPE" in line and "taken out" in line for line in lines)


def test_all_cores_and_another_processor_are_had_by_asking():
    _, environment, cores, _ = prepared('"all", "haswell"', OMP_NUM_THREADS="1")
    assert "OMP_NUM_THREADS" not in environment and "OPENBLAS_NUM_THREADS" not in environment
    assert environment["NUMBA_CPU_NAME"] == "haswell"
    assert cores is None or {*cores} == os.sched_getaffinity(0)


def test_the_kernel_of_blas_is_kept_on_request():
    kept = "keep=machine.KERNEL_OF_BLAS"
    _, environment, _, _ = prepared(kept, OPENBLAS_CORETYPE="Haswell", OPENBLAS_VERBOSE="2")
    assert environment["OPENBLAS_CORETYPE"] == "Haswell"
    assert "OPENBLAS_VERBOSE" not in environment


def test_it_does_not_start_where_numpy_has_chosen_already(part):
    with pytest.raises(RuntimeError, match="NumPy is loaded already"):
        part("machine").prepare()


def wrong_step(ours, workload, fault, steps):
    """The clean step with a fault: a gradient, the last update, or the order of the rows."""
    right = ours.clean(workload)
    step, parameters, count = right.step, right.parameters(), itertools.count(1)

    def wrong(x, y):
        if fault == "data":
            x = x[::-1]
        loss, *gradients = step(x, y)
        if fault == "gradient":
            gradients[0] = gradients[0] * (1 + 1e-6)
        if fault == "update" and next(count) == steps:
            parameters[1][0] += 1e-9
        return loss, *gradients

    right.step = wrong
    return right


@pytest.mark.parametrize(
    "fault, message", [("gradient", "gradients"), ("update", "parameters"), ("data", "losses")]
)
def test_a_contender_that_computes_something_else_is_refused(part, fault, message):
    ours, columns, measure = part("ours"), part("columns"), part("measure")
    workload = part("rows").ROWS["mlp"]()
    clean = columns.BY_NAME["clean"]
    wrong = clean._replace(
        name="wrong", make=lambda w: wrong_step(ours, w, fault, measure.STEPS), peer=True
    )
    assert [*measure.agreeing(workload, [clean])] == ["clean"]
    with pytest.raises(AssertionError, match=message):
        measure.agreeing(workload, [clean, wrong])


def test_float32_is_to_be_computed_in_float32(part):
    ours, columns, measure = part("ours"), part("columns"), part("measure")
    workload = part("rows").ROWS["steel"]()
    clean = columns.BY_NAME["clean"]
    double = clean._replace(name="double", make=lambda _: ours.clean(workload))
    with pytest.raises(AssertionError, match="float64, not float32"):
        measure.agreeing(workload.in_float32(), [clean, double])


def test_adam_by_hand_is_that_of_the_paper(part):
    """Algorithm 1 of Kingma and Ba, on numbers: the first step is the rate by the gradient's sign."""
    workloads = part("workloads")
    p = np.array([1.0, -2.0])
    update = workloads.adam([p])
    update([np.array([0.5, -4.0])])
    np.testing.assert_allclose(p, [1 - 0.001, -2 + 0.001], rtol=1e-9)
    mean = 0.9 * (0.1 * 0.5) + 0.1 * 3
    square = 0.999 * (0.001 * 0.25) + 0.001 * 9
    update([np.array([3.0, 0.0])])
    size = np.sqrt(square / (1 - 0.999**2))
    assert p[0] == pytest.approx(1 - 0.001 - 0.001 * mean / (1 - 0.9**2) / size, rel=1e-9)


def test_operations_of_a_step_are_counted_by_hand(part):
    """Two layers, batch 10: forward twice, the weights' gradients twice, the hidden layer's gradient once."""
    workload = part("workloads").mlp((27, 8, 7))
    assert workload.flops == 2 * (2 * 10 * 27 * 8) + 3 * (2 * 10 * 8 * 7)


def figures_of(part, seconds):
    figures = part("figures")
    rows = {"steel": figures.Row({"clean": 1e-5, "epoch": seconds}, 7560.0, "float64", "numba")}
    return figures.Figures(["processor: a"], {"float64": 10.0, "float32": 20.0}, 1, rows)


def test_tables_replace_the_old_ones_and_nothing_else(part, tmp_path):
    tables = part("tables")
    marks = {tables.FULL_PAGE: ("one core", "all cores")}
    marks |= {Path(page): ("short",) for page in tables.FIRST_PAGES}
    for page, names in marks.items():
        parts = (f"before\n{tables.BEGIN.format(m)}\nold\n{tables.END}\nafter\n" for m in names)
        (tmp_path / page).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / page).write_text("".join(parts), encoding="utf-8")
    for _ in range(2):
        tables.write_all(tmp_path, figures_of(part, 2e-6), None)
        full, english, korean = ((tmp_path / page).read_text(encoding="utf-8") for page in marks)
        assert "| steel | 10 | **0.20** | 0.076 |\n" in full
        assert "| steel | 10 | **0.20** |\n" in english and english == korean
        assert full.count("before\n") == full.count("after\n") == 2 and full.count("old") == 1
        assert "old" not in english
    with pytest.raises(ValueError, match="is to have a line"):
        tables.replaced("no markers", "one core", "new")


def test_the_first_pages_show_a_part_of_the_full_table(part):
    tables = part("tables")

    def shown(page):
        """The first table of figures: of each row the cells by the titles of their columns."""
        table = next(x for x in documents.tables(page) if x.head[0] == tables.ROW)
        return [dict(zip(table.head, row, strict=True)) for row in table.rows]

    full = shown(tables.FULL_PAGE.as_posix())
    assert len(full) == len(part("rows").TABLE)
    for page in tables.FIRST_PAGES:
        assert shown(page) == tables.short(full)


def test_figures_are_kept_as_json_and_compared(part, tmp_path):
    figures, tables = part("figures"), part("tables")
    old, new = figures_of(part, 1e-6), figures_of(part, 2e-6)
    old.rows["steel"].fresh["epoch"] = figures.Fresh(0.5, 2.0, 0.25, None)
    old.save(tmp_path / "old.json")
    found = figures.load(tmp_path / "old.json")
    assert found == old
    assert found.ratios("steel")["limit"] == pytest.approx(7560 / 10e9 / 1e-5)
    assert [*tables.beside(new, found)][-1].split() == ["steel", "2.00"]
