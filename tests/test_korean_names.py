"""Variables, ops and files with Korean names go all the way: source, report, page, picture, machine code."""

import numpy as np
import pytest

from tinygrad_steel import (
    GradientError,
    Tensor,
    check_op,
    compare_backprop,
    compile_backprop,
    draw,
    explore,
    op,
    random_sample,
    write_backprop,
)

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(10, 3)), RNG.normal(size=(10, 1))


def model():
    """A linear layer and its mean square error, all by Korean names."""
    입력, 정답 = Tensor(X, name="입력"), Tensor(Y, name="정답")
    가중치 = Tensor(np.ones((3, 1)), requires_grad=True, name="가중치")
    오차 = 입력 @ 가중치 - 정답
    손실 = np.mean(np.square(오차))
    return 손실, locals()


SLOPE = 2 * X.T @ (X @ np.ones((3, 1)) - Y) / 10  # by hand


def test_the_written_backprop_runs():
    손실, names = model()
    source = write_backprop(손실, names=names)
    assert "    G_가중치 = 입력.T @ G_오차\n" in str(source)
    _, gradient = source.function()(**source.arguments)
    np.testing.assert_allclose(gradient, SLOPE, rtol=1e-12)


def test_a_chain_is_checked_at_its_lines():
    손실, names = model()

    def 역전파():
        G_오차 = 2 * (X @ np.ones((3, 1)) - Y)
        G_가중치 = X.T @ G_오차
        return G_가중치

    report = compare_backprop(손실, names, backprop=역전파)
    assert report.first_wrong.where.text == "G_오차 = 2 * (X @ np.ones((3, 1)) - Y)"
    assert [row[:2] for row in report.rows()[1:]] == [
        ("G_오차", "G_오차"),
        ("G_가중치", "G_가중치"),
    ]
    assert compare_backprop(손실, names, G_가중치=SLOPE).ok


def test_a_page_and_a_picture_are_saved_by_korean_names(tmp_path):
    손실, names = model()
    explore(손실, names=names).save(tmp_path / "손실.html")
    draw(손실, names=names).save(tmp_path / "손실.svg")
    for file in tmp_path.iterdir():
        assert "가중치" in file.read_text(encoding="utf-8"), file.name
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".html", ".svg"]


def test_a_step_is_compiled_in_a_korean_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYGRAD_STEEL_CACHE", str(tmp_path / "캐시"))
    손실, names = model()
    loss = compile_backprop(손실, names)(X, Y)
    assert loss == pytest.approx(손실.item())
    np.testing.assert_allclose(names["가중치"].grad, SLOPE, rtol=1e-12)


def test_a_wrong_rule_is_said_by_its_korean_names():
    반 = op("반", lambda 값: 값 * 값, lambda g, y, 값: g * 값, samples=[random_sample((2,))])
    with pytest.raises(GradientError, match=r"반, sample 0: the gradient of input 0 \(값\)"):
        check_op(반)
