"""How long a page of 303 cards takes: to be seen at first, and for a step."""

import pages
from pages import probe

from tinygrad_steel import explore

FIRST, STEP = 1500, 50  # ms, on a machine with nothing else to do
LOOSELY = 4


def test_303_cards(opened):
    html = explore(pages.large(), fold=False).html
    page = opened(html)
    assert page.locator(".card").count() == 303
    firsts = []
    for _ in range(3):
        page.reload()
        firsts.append(probe(page, "framed"))
    times = probe(page, "steps")
    middle, late = times[len(times) // 2], times[int(0.95 * len(times))]
    print(f"{len(html):,} characters; first view {min(firsts):.0f} ms")
    print(f"a step {middle:.0f} ms, 95 % within {late:.0f} ms")
    assert len(html) < 1_500_000
    assert min(firsts) < LOOSELY * FIRST
    assert middle < LOOSELY * STEP
