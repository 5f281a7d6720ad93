"""The checks against a real account: that they are skipped where there is none, and that they pass where all is well."""

import subprocess
import sys
from pathlib import Path

import pytest

from emulator import TARGET
from interception import Interception
from waiting import LIMIT


def live(environment):
    return subprocess.run(
        [sys.executable, Path(__file__).parent / "live.py"],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=4 * LIMIT,
    )


@pytest.mark.parametrize("given", [{}, {"TARGET": TARGET}], ids=["no target", "no credentials"])
def test_without_an_account_all_is_skipped_and_one_line_says_why(emulator, given):
    finished = live(emulator.bare_environment() | given)
    assert (finished.returncode, finished.stderr) == (0, "")
    [line] = finished.stdout.splitlines()
    assert line.startswith("skipped: no credentials; " if given else "skipped: no TARGET; ")


def test_with_an_account_all_of_it_is_done(emulator, sshd, tmp_path):
    """The account is the emulator's, under the names of AWS."""
    proxy = Interception(tmp_path, emulator)
    try:
        finished = live(proxy.environment(emulator) | {"TARGET": TARGET, "PORT": str(sshd.port)})
    finally:
        proxy.stop()
    print(finished.stdout)
    assert finished.returncode == 0
    assert "4 passed" in finished.stdout
    emulator.until_over()
