"""Notifications of calendars in, changes of the planning out."""
