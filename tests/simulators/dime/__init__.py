"""A simulated Dime.Scheduler: planning tables in PostgreSQL, and its HTTP side."""
