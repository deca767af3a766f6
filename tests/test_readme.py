"""The README's recipe for a table of one's own runs as it stands there, on a narrow table and on a wide one."""

import re
from pathlib import Path

import numpy as np
import pytest

README = Path(__file__).parents[1] / "README.md"


def recipe():
    (code,) = re.findall(
        r"^```python\n(import numpy as np\n.*?)^```",
        README.read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    return code


@pytest.mark.parametrize(("columns", "classes"), [(3, 2), (300, 5)])
def test_recipe(columns, classes, tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(1)
    centers = rng.normal(size=(classes, columns - 1))
    y = rng.integers(0, classes, 200)
    x = centers[y] * 3 + rng.normal(size=(200, columns - 1))
    x[:, 0] = 7.0 if columns > 3 else x[:, 0]  # a constant column
    header = ",".join(f"c{i}" for i in range(columns))
    np.savetxt(
        tmp_path / "own.csv", np.column_stack([x, y]), delimiter=",", header=header, comments=""
    )
    monkeypatch.chdir(tmp_path)
    exec(compile(recipe(), "README.md", "exec"), {"__name__": "recipe"})
    out = capsys.readouterr().out
    assert float(re.search(r"accuracy (\d\.\d+)", out)[1]) > 0.95
    assert "The gradient is right." in out and "w1" in out and "PARAMETER" not in out
