"""scp, sftp and rsync through a session: whole files and trees, byte for byte."""

import filecmp
import hashlib
import os
import shlex
import subprocess

import pytest

from emulator import TARGET
from forward import SSH

LARGE = 100 * 1000 * 1000
# For 100 MB in a debug build on a busy machine.
LIMIT = 240


@pytest.fixture
def options(start_emulator, sshd):
    """The emulator, and `-F` with its configuration. Its agent sends more at once than real ones, which would take
    100 s for 100 MB at their 1 KiB a millisecond."""
    emulator = start_emulator("--pace", "none", "--agent-payload", "16384")
    proxy = emulator.start_session_command("--document-name", SSH, "--parameters", "portNumber=%p", target="%h")
    return emulator, ["-F", str(sshd.client_configuration(shlex.join(proxy)))]


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A file of random bytes, and its digest."""
    path = tmp_path_factory.mktemp("large") / "file"
    path.write_bytes(os.urandom(LARGE))
    yield path, digest(path)
    path.unlink()


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run(emulator, command, **arguments):
    finished = subprocess.run(
        command, env=emulator.environment(), capture_output=True, text=True, timeout=LIMIT, **arguments
    )
    assert finished.returncode == 0, finished.stderr
    return finished


def test_scp_carries_100_mb_each_way(options, large, tmp_path):
    emulator, configuration = options
    path, expected = large
    there, back = tmp_path / "there", tmp_path / "back"
    run(emulator, ["scp", "-q", *configuration, path, f"{TARGET}:{there}"])
    assert digest(there) == expected
    run(emulator, ["scp", "-q", *configuration, f"{TARGET}:{there}", back])
    assert digest(back) == expected


def test_sftp_carries_100_mb_each_way_in_one_session(options, large, tmp_path):
    emulator, configuration = options
    path, expected = large
    there, back = tmp_path / "there", tmp_path / "back"
    batch = f"put {path} {there}\nget {there} {back}\nls -l {there}\nbye\n"
    run(emulator, ["sftp", "-q", *configuration, "-b", "-", TARGET], input=batch)
    assert (digest(there), digest(back)) == (expected, expected)


def test_rsync_carries_a_tree_and_then_only_what_changed(options, tmp_path):
    emulator, configuration = options
    source, there, back = tmp_path / "source", tmp_path / "there", tmp_path / "back"
    for n in range(200):
        directory = source / f"directory {n % 10}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{n}").write_bytes(os.urandom(n * 500))
    (source / "link").symlink_to("directory 1")

    def rsync(*arguments):
        shell = shlex.join(["ssh", *configuration])
        command = ["rsync", "--archive", "--delete", "--out-format=%o %n", "--rsh", shell, *arguments]
        return [line for line in run(emulator, command).stdout.splitlines() if not line.endswith("/")]

    rsync(f"{source}/", f"{TARGET}:{there}/")
    rsync(f"{TARGET}:{there}/", f"{back}/")
    assert differences(source, back) == []
    (source / "directory 3" / "3").write_bytes(b"changed")
    (source / "directory 4" / "4").unlink()
    assert sorted(rsync(f"{source}/", f"{TARGET}:{there}/")) == ["del. directory 4/4", "send directory 3/3"]
    assert differences(source, there) == []
    assert os.readlink(there / "link") == "directory 1"


def differences(one, other):
    """What is not in both trees, or not the same."""
    trees = [{path.relative_to(tree): path for path in tree.rglob("*")} for tree in (one, other)]
    different = [path for path in trees[0].keys() & trees[1].keys() if not is_same(trees[0][path], trees[1][path])]
    return sorted(trees[0].keys() ^ trees[1].keys()) + different


def is_same(one, other):
    if one.is_symlink() or other.is_symlink():
        return os.readlink(one) == os.readlink(other)
    return one.is_dir() and other.is_dir() or filecmp.cmp(one, other, shallow=False)
