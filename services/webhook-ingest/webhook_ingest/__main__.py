"""webhook-ingest: notifications of Microsoft Graph in, changes of the planning out. So far it only tells that it is there."""

from __future__ import annotations

import sys

from common import service
from common.waiting import waiting
from webhook_ingest.settings import Settings

SERVICE = waiting(
    "webhook-ingest", "Notifications of Microsoft Graph in, changes of the planning out.", Settings
)


def main() -> None:
    """The command `webhook-ingest`."""
    sys.exit(service.main(SERVICE))


if __name__ == "__main__":
    main()
