"""All SQL of outbox-reader: `outbox` for the planning database, `state` for the state database."""
