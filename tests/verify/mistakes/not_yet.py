"""Reasons that are not exact yet, as they were read: how good each is, and the words by which it is
known.

A mistake that has become exact has to leave this list.
"""

NOT_YET: dict[str, dict[str, tuple[str, str]]] = {"all intermediates": {}, "leaves alone": {}}
