"""Hold a small disk of its own at a folder until told to stop: `mount.py FOLDER KIBIBYTES READY_FD`.

It's a process of its own so that it outlives the runner by a moment: the kernel tells it when the runner is gone,
however that came, and it unmounts. It imports the standard library alone, as `tether` does.
"""

import os
import signal
import subprocess
import sys

ENDS = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}


def main(arguments: list[str]) -> None:
    """Mount, tell that it's ready, wait for a signal, unmount; raises CalledProcessError without the right to mount."""
    folder, kibibytes, ready = arguments
    # Blocked from before the mount on, so that no signal ends the process while the disk is there.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs", folder], check=True)
    os.write(int(ready), b"ready\n")
    signal.sigwait(ENDS)
    subprocess.run(["umount", "--lazy", folder], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
