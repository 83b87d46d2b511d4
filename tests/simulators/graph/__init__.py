"""Microsoft Graph's calendars and Entra's login endpoint, simulated. `python -m simulators.graph --help` tells how."""
