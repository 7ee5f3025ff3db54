"""Run a command that doesn't outlive the process that asked for it: `tether.py PARENT SIGNAL USER POLL COMMAND…`.

On Linux the kernel sends SIGNAL when the parent dies (prctl(2), PR_SET_PDEATHSIG); elsewhere this process stays and
watches. It imports the standard library alone, so that it starts in a few milliseconds, and is not a supervisor: it
never starts anything twice.
"""

import ctypes
import os
import pwd
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.5


def main(arguments: list[str]) -> None:
    """Become the command, or watch over it; exits with 1 when the parent is gone already."""
    parent, farewell, user, poll, *command = arguments
    if user:
        become(user)
    if poll == "poll":
        sys.exit(watch(command, int(parent), int(farewell)))
    # After the change of user, which makes the kernel forget the wish.
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(farewell))
    if os.getppid() != int(parent):
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606


def become(user: str) -> None:
    """Give up root for a user; raises KeyError for one that doesn't exist."""
    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def watch(command: list[str], parent: int, farewell: int) -> int:
    """Run the command, pass signals on, end it when the parent is gone, and return its exit code."""
    child = subprocess.Popen(command, close_fds=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda received, _: child.send_signal(received))
    while child.poll() is None:
        if os.getppid() != parent:
            child.send_signal(farewell)
            return child.wait()
        time.sleep(POLL_SECONDS)
    return child.returncode


if __name__ == "__main__":
    main(sys.argv[1:])
