"""The planning database of Dime.Scheduler: versions and snapshots, over ODBC.

Import `common.planning.database` and `common.planning.reading`; they need unixODBC, the rest does not.
"""
