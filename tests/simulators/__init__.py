"""Stand-ins for the third parties, started as processes of their own; they import nothing of the project."""
