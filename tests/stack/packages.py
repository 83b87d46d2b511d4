"""Debian packages, where this machine lets us install them."""

import functools
import os
import shutil
import subprocess
import sys


class Missing(Exception):
    """This machine lacks something that we may not or cannot bring; the text says what to install."""


def apt_install(*names: str) -> bool:
    """Installs Debian packages; False where we are not root, there is no apt-get, or it fails."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    print(f"installing {', '.join(names)} by apt-get ...", file=sys.stderr, flush=True)
    return refresh_lists() and apt_get("install", "--no-install-recommends", *names)


@functools.cache
def refresh_lists() -> bool:
    return apt_get("update")


def apt_get(*arguments: str) -> bool:
    answer = subprocess.run(
        ["apt-get", "-qq", "-y", *arguments],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        print(answer.stderr.strip()[-2000:], file=sys.stderr)
    return answer.returncode == 0
