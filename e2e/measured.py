"""What the tests of a run measured: how long a user sat before a program that said nothing, fault by fault."""

import os
from typing import NamedTuple

# `just faults` measures with the limits that users have. Tests wait less.
DEFAULTS = os.environ.get("E2E_DEFAULT_LIMITS") == "1"
KEEPALIVE, SILENCE = (15, 45) if DEFAULTS else (1, 3)
SETTINGS = {} if DEFAULTS else {"SSM_SESSION_KEEPALIVE": str(KEEPALIVE), "SSM_SESSION_SILENCE": str(SILENCE)}
# What is promised, with room for a busy machine: of a lost connection, which passes for a slow network for 2 s more;
# and of all else, which is told after 10 s.
LOST = SILENCE + 10
WAITED = 15

ROWS = []


class Row(NamedTuple):
    """A fault, and how it was told: the words, and the seconds from the fault until they were read."""

    fault: str
    limit: float
    seconds: float
    words: str


def record(*cells):
    ROWS.append(Row(*cells))


def table():
    """The lines of a table, of which none is longer than it has to be."""
    width = max(len(row.fault) for row in ROWS)
    yield f"{'fault':<{width}}  limit, s  told, s  words"
    for row in sorted(ROWS):
        late = "" if row.seconds <= row.limit else " LATE"
        yield f"{row.fault:<{width}}  {row.limit:>8.0f}  {row.seconds:>7.1f}  {row.words}{late}"
