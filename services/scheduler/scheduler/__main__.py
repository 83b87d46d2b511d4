"""scheduler: CRON expressions in, ticks out. So far it only tells that it is there."""

from __future__ import annotations

import sys

from common import service
from common.waiting import waiting
from scheduler.settings import Settings

SERVICE = waiting("scheduler", "CRON expressions in, ticks out.", Settings)


def main() -> None:
    """The command `scheduler`."""
    sys.exit(service.main(SERVICE))


if __name__ == "__main__":
    main()
