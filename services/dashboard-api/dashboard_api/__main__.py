"""dashboard-api: the state of everything, for administrators. So far it only tells that it is there."""

from __future__ import annotations

import sys

from common import service
from common.waiting import waiting
from dashboard_api.settings import Settings

SERVICE = waiting("dashboard-api", "The state of everything, for administrators.", Settings)


def main() -> None:
    """The command `dashboard-api`."""
    sys.exit(service.main(SERVICE))


if __name__ == "__main__":
    main()
