"""CRON expressions in, ticks out."""
