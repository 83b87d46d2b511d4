"""All of graph-publisher's SQL, by who uses it: planning, lanes, mailboxes, transactions."""
