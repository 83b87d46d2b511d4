"""The demo: a planning and calendars in one room, and a story that is played on them; also what chaos tests need."""
