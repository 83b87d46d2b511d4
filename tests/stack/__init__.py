"""The servers that tests, demo and benchmarks need: found where they run, else started, else installed.

    server = stack.postgres()                    # EXCONN_TEST_POSTGRES_DSN, 127.0.0.1:5432, or one of our own
    dsn = stack.fresh_database(server)           # stack.drop_database(dsn) when done
    url = stack.fresh_vhost(stack.broker())      # stack.delete_vhost(url) when done
    stack.odbc_environment()                     # before pyodbc is imported
    odbc = stack.planning_odbc(dsn)

    own = stack.PrivatePostgres()                # a victim for tests that kill: start, kill, start, stop
    own = stack.PrivateBroker()

All of it blocks and may be called from any thread, beside a running event loop too (`asyncio.to_thread`
where seconds matter). Whatever was started is stopped at exit. `Missing` says in one sentence what a machine lacks.
"""

from stack.brokers import Broker, PrivateBroker, broker, delete_vhost, fresh_vhost
from stack.databases import Postgres, PrivatePostgres, drop_database, fresh_database, postgres
from stack.odbc import microsoft_driver, odbc_environment, planning_odbc, tds_drivers
from stack.packages import Missing
from stack.processes import at_exit, free_port, kill, start, stop, wait_for

__all__ = [
    "Broker",
    "Missing",
    "Postgres",
    "PrivateBroker",
    "PrivatePostgres",
    "at_exit",
    "broker",
    "delete_vhost",
    "drop_database",
    "free_port",
    "fresh_database",
    "fresh_vhost",
    "kill",
    "microsoft_driver",
    "odbc_environment",
    "planning_odbc",
    "postgres",
    "start",
    "stop",
    "tds_drivers",
    "wait_for",
]
