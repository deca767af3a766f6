"""Every rule, once: what an op is, and the ops by kind."""

from .rules import *  # noqa: F403
