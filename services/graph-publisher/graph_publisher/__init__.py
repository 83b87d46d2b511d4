"""Planned appointments in, calendar events out."""
