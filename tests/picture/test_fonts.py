"""Letters of East Asia in PNGs: an installed font has them, or a warning says what to install."""

import re
import shutil
import stat
import subprocess
import warnings
from xml.etree import ElementTree

import numpy as np
import pytest

from tinygrad_steel import Tensor, draw
from tinygrad_steel.picture import fonts

KOREAN, CHINESE = "손실", "损失"


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Sets what fontconfig finds: a stand-in for fc-list, which notes what it is asked."""

    def install(answer, status=0):
        program = tmp_path / "fc-list"
        program.write_text(
            f"#!/bin/sh\necho \"$1\" > {tmp_path}/asked\nprintf '{answer}'\nexit {status}\n"
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(
            fonts.shutil, "which", lambda name: str(program) if name == "fc-list" else None
        )
        fonts.has_font.cache_clear()
        return tmp_path / "asked"

    yield install
    fonts.has_font.cache_clear()


def picture(name):
    return draw(Tensor([1.0, 2.0], True, name=name).sum())


def advice(source, program):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fonts.warn_of_missing_letters(source, program)
    return [str(w.message) for w in said]


@pytest.mark.parametrize("name, package", [(KOREAN, "fonts-nanum"), (CHINESE, "fonts-noto-cjk")])
def test_without_a_font_the_package_is_said_in_one_line(installed, name, package):
    asked = installed("")
    (text,) = advice(picture(name).source, "/usr/bin/dot")
    assert f"apt install {package})" in text and name[0] in text and "\n" not in text
    assert {*asked.read_text().strip().removeprefix(":charset=").split()} == {
        f"{ord(c):x}" for c in name
    }


def test_an_installed_font_is_enough_for_dot_and_not_for_the_pip_renderer(installed):
    installed("/usr/share/fonts/NanumGothic.ttf\\n")
    source = picture(KOREAN).source
    assert advice(source, "/usr/bin/dot") == []
    (text,) = advice(source, "/somewhere/graphviz-pure")
    assert "apt install graphviz fonts-nanum" in text


def test_nothing_is_asked_for_letters_that_all_fonts_have(installed):
    asked = installed("")
    assert advice(picture("größe_αβ").source, "graphviz-pure") == []
    assert not asked.exists()


@pytest.mark.parametrize("failure", ["status", "none"])
def test_where_fontconfig_cannot_say_there_is_no_false_alarm(installed, monkeypatch, failure):
    installed("", status=1)
    if failure == "none":
        monkeypatch.setattr(fonts.shutil, "which", lambda name: None)
    assert advice(picture(KOREAN).source, "dot") == []


def test_a_png_warns_and_an_svg_does_not(installed):
    if shutil.which("dot") is None:
        pytest.skip("needs graphviz")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture(KOREAN).svg()
        picture("loss").png()
    fonts.has_font.cache_clear()
    has = subprocess.run(["fc-list", ":charset=c190 c2e4"], capture_output=True, check=False).stdout
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        picture(KOREAN).png()
    assert len(said) == (not has)


def test_the_blanks_before_the_rows_of_a_matrix_are_kept_in_browsers():
    x = Tensor(np.arange(4.0).reshape(2, 2), True, name="x")
    svg = draw(x.sum(), values=True).svg()
    rows = [t for t in ElementTree.fromstring(svg).iter() if re.match(r"[\s\xa0]+\[", t.text or "")]
    assert rows
    for row in rows:
        preserved = row.get("{http://www.w3.org/XML/1998/namespace}space") == "preserve"
        assert preserved or row.text.startswith("\xa0")
