"""Microsoft Graph: `protocol`, `requests`, `failures` decide without I/O; `client`, `tokens` talk."""
