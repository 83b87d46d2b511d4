"""Changes of the planning database in, messages with snapshots out."""
