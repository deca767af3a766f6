"""Whether theme="auto" follows the reader, in headless Chromium: `python tests/check_auto_theme.py`, by hand.

One page holds the same graph with theme="auto", with theme="light" and, as an <img>, with theme="auto" again; it is
looked at by a reader who prefers light and by one who prefers dark, and the colours on the screen are counted.
"""

import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
import gallery

from tinygrad_steel.picture.themes import DARK, LIGHT

WIDTH, HEIGHT, SCALE = 800, 900, 0.5  # of each of the three; the screenshot is so much smaller
PREFERENCES = {"dark": 0, "light": 1}  # as Chromium counts them


def pixels(png):
    """An array (rows, columns, 3) from a PNG of 8 bits without interlacing."""
    width, height, depth, kind, *_, interlaced = struct.unpack(">IIBBBBB", png[16:29])
    assert depth == 8 and kind in (2, 6) and not interlaced, (
        "not the kind of PNG that Chromium writes"
    )
    data, at = b"", 8
    while at < len(png):
        size = int.from_bytes(png[at : at + 4])
        data += png[at + 8 : at + 8 + size] if png[at + 4 : at + 8] == b"IDAT" else b""
        at += size + 12
    channels = 3 if kind == 2 else 4
    lines = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, -1)
    image = np.zeros(
        (height + 1, width + 1, channels), int
    )  # a row above and a column to the left, of zeros
    for y, line in enumerate(lines, 1):
        row, above, way = line[1:].reshape(width, channels).astype(int), image[y - 1], line[0]
        if way in (0, 2):
            image[y, 1:] = row + (above[1:] if way else 0) & 255
            continue
        for x in range(1, width + 1):
            left, up, corner = image[y, x - 1], above[x], above[x - 1]
            if way == 4:
                guess = left + up - corner
                far = np.abs([guess - left, guess - up, guess - corner])
                best = np.choose(far.argmin(axis=0), [left, up, corner])
            else:
                best = left if way == 1 else (left + up) // 2
            image[y, x] = row[x - 1] + best & 255
    return image[1:, 1:, :3]


def share(image, colour):
    """How much of an image has this colour."""
    return np.mean(np.all(image == [int(colour[i : i + 2], 16) for i in (1, 3, 5)], axis=2))


def screenshot(browser, page, preference, folder):
    """What a reader sees."""
    file = folder / f"{preference}.png"
    options = [
        *(
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={folder / 'profile'}",
        ),
        *(
            f"--force-device-scale-factor={SCALE}",
            f"--window-size={3 * WIDTH},{HEIGHT}",
            f"--screenshot={file}",
        ),
        f"--blink-settings=preferredColorScheme={PREFERENCES[preference]}",
    ]
    subprocess.run([browser, *options, page.as_uri()], check=True, capture_output=True, timeout=120)
    return pixels(file.read_bytes())


def main():
    browser = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if browser is None:
        print("skipped: no chromium on this machine (Debian: apt install chromium)")
        return 0
    auto, light = (gallery.SCENES["steel"](theme=theme).svg() for theme in ("auto", "light"))
    wrong = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "auto.svg").write_text(auto, encoding="utf-8")
        parts = [auto[auto.index("<svg") :], light[light.index("<svg") :], '<img src="auto.svg">']
        style = f"position: absolute; top: 0; width: {WIDTH}px; height: {HEIGHT}px; overflow: hidden; left:"
        boxes = "".join(
            f'<div style="{style} {i * WIDTH}px">{part}</div>' for i, part in enumerate(parts)
        )
        (folder / "page.html").write_text(
            f"<!doctype html><meta charset=utf-8><body>{boxes}", encoding="utf-8"
        )
        for preference in PREFERENCES:
            screen = screenshot(browser, folder / "page.html", preference, folder)
            for i, what in enumerate(("auto", "light", "auto as <img>")):
                part = np.split(screen, 3, axis=1)[i]
                dark = preference == "dark" and what != "light"
                for palette, expected in ((DARK, dark), (LIGHT, not dark)):
                    fills = [palette[kind][0] for kind in ("input", "parameter", "output")]
                    shares = [share(part, fill) for fill in fills]
                    good = min(shares) > 1e-3 if expected else max(shares) < 1e-5
                    theme = "dark" if palette is DARK else "light"
                    seen = ", ".join(f"{s:.2%}" for s in shares)
                    print(f"prefers {preference:5}  {what:13}  {theme:5} fills: {seen}")
                    wrong |= {} if good else {f"{what}, seen by one who prefers {preference}": True}
    print(
        f"wrong: {'; '.join(wrong)}"
        if wrong
        else "theme='auto' follows the reader, and leaves other pictures alone"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
