"""A stand-in for SQL Server's wire: drivers log in over TLS, send statements, and get typed rows back.

It is a simulator of the protocol, built on PyPI's pysqlbridge: it shows that drivers, TLS, parameter and column
types, prepared statements, timeouts, refusals and lost connections work. It knows no T-SQL at all: each statement
is looked up by its text, and what it is paired with is run in PostgreSQL. What SQL Server itself makes of a
statement, its locks and its isolation, is *not* shown.
"""
