"""What the kernel knows of other processes: their children, memory, open files and connections."""

import os
import select
from pathlib import Path

from emulator import PLUGIN
from waiting import LIMIT, until


def parents():
    """The parent of every process."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:  # gone
                continue
    return found


def descendants(process_id):
    """All processes below one."""
    parent_of = parents()
    found, todo = [], [process_id]
    while todo:
        parent = todo.pop()
        children = [child for child, its_parent in parent_of.items() if its_parent == parent]
        found += children
        todo += children
    return found


def is_plugin(process_id):
    """By the command line: what a process that writes no cores has open and runs is shown to root alone."""
    try:
        started = (Path("/proc") / str(process_id) / "cmdline").read_bytes().split(b"\0")[0].decode()
    except OSError:  # gone
        return False
    return started in (str(PLUGIN), PLUGIN.name)


def plugins(word):
    """The plugins with a word in their command line, such as an address, whoever started them."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and word.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:  # gone
            continue
    return [each for each in found if is_plugin(each)]


def plugin_below(process_id):
    """The plugin that `process_id` or something it started runs."""
    [plugin] = [each for each in [process_id, *descendants(process_id)] if is_plugin(each)]
    return plugin


class Watched:
    """A process that need not be a child of ours; another that gets its number later is not taken for it."""

    def __init__(self, process_id):
        self.process_id = process_id
        self.fd = os.pidfd_open(process_id)

    def until_gone(self, limit=LIMIT):
        ready, _, _ = select.select([self.fd], [], [], limit)
        assert ready, f"process {self.process_id} still runs"

    def close(self):
        os.close(self.fd)


def memory(process_id, field="VmRSS"):
    """Bytes of resident memory; with `VmHWM` the most there ever were."""
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {process_id} has no {field}")


def open_files(process_id):
    """What each open file of a process is."""
    found = []
    for fd in Path(f"/proc/{process_id}/fd").iterdir():
        try:
            found.append(os.readlink(fd))
        except OSError:  # closed meanwhile
            continue
    return found


ESTABLISHED, CLOSE_WAIT = 1, 8


def sockets():
    """The TCP sockets of this machine: the inode's number, and (local port, remote port, state, bytes not yet read)."""
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            local, remote = (int(address.rsplit(":", 1)[1], 16) for address in words[1:3])
            yield words[9], (local, remote, int(words[3], 16), int(words[4].split(":")[1], 16))


def connections(process_id):
    """The TCP sockets of a process."""
    own = {name[8:-1] for name in open_files(process_id) if name.startswith("socket:[")}
    return [socket for inode, socket in sockets() if inode in own]


def until_unchanged(observe, what, looks=30):
    """Looks until the observation is the same so many times in a row. Not proof that it stays so: only for tests that
    an early end makes easier, and not wrong."""
    seen = []

    def is_unchanged():
        seen.append(observe())
        return len(seen) >= looks and len(set(seen[-looks:])) == 1

    until(is_unchanged, what)


def forwarded(local_port):
    """The connections that a forward holds at its local port; sockets that no process has any more have no inode."""
    return [socket for inode, socket in sockets() if inode != "0" and socket[0] == local_port and socket[1]]


def until_end_of_input_is_read(local_port):
    """Waits until the end of what the peer of a half-closed connection at a port sent has been read."""
    until(
        lambda: [each for each in forwarded(local_port) if each[2:] == (CLOSE_WAIT, 0)],
        f"a half-closed connection at port {local_port} whose end was read",
    )
