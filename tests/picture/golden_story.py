"""The story of the steel loss as it is today: any change shows in a diff of tests/golden/story_steel.json.

    python tests/picture/golden_story.py        # write it anew, then read the diff

What is right about its numbers is tested in test_story_golden.py.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

FILE = Path(__file__).parents[1] / "golden" / "story_steel.json"


def steel() -> dict:
    """The story of the gallery's steel loss."""
    import gallery

    from tinygrad_steel.picture.page.story import make_story

    return make_story(gallery.steel()).data


def text(data: dict) -> str:
    """One line for each card, arrow, line, step and array."""
    rows = []
    for name, value in data.items():
        if isinstance(value, list) and value:
            inner = ",\n  ".join(json.dumps(each, ensure_ascii=False) for each in value)
            rows.append(f' "{name}": [\n  {inner}\n ]')
        else:
            rows.append(f' "{name}": {json.dumps(value, ensure_ascii=False)}')
    return "{\n" + ",\n".join(rows) + "\n}\n"


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[2] / "examples"))
    FILE.write_text(text(steel()), encoding="utf-8", newline="\n")
