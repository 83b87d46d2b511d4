"""Two ways to make and delete RabbitMQ's virtual hosts, many at a time; AMQP itself has none."""

import base64
import json
import subprocess
import urllib.request
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

Way = Callable[[list[str], list[str]], None]


class Refused(Exception):
    """This way is closed: no such program, no right, no answer."""


def through_ctl(command: list[str], user: str, env: Mapping[str, str] | None = None) -> Way:
    """By rabbitmqctl. One call takes 0.7 s, mostly its own start, so all of it is one expression."""

    def create_and_delete(created: list[str], deleted: list[str]) -> None:
        expression = (
            f"[U] = {_erlang([user])},"
            f"[begin catch rabbit_vhost:delete(V, U) end || V <- {_erlang(deleted)}],"
            f"[begin rabbit_vhost:add(V, U), rabbit_auth_backend_internal:set_permissions("
            f'U, V, <<".*">>, <<".*">>, <<".*">>, U) end || V <- {_erlang(created)}], ok.'
        )
        evaluate(command, expression, env)

    return create_and_delete


def evaluate(command: list[str], expression: str, env: Mapping[str, str] | None = None) -> None:
    """Has a broker evaluate an Erlang expression whose value is `ok`; raises Refused."""
    try:
        answer = subprocess.run(
            [*command, "-q", "eval", expression],
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refused(str(error)) from error
    if answer.returncode or answer.stdout.strip() != "ok":
        raise Refused(f"{answer.stdout}{answer.stderr}".strip()[-500:])


def through_api(url: str) -> Way:
    """By the management plugin, on its usual port beside the broker's."""
    parts = urlsplit(url)
    user, password = parts.username or "guest", parts.password or "guest"
    base = f"http://{parts.hostname}:15672/api"
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    # Proxies and their like, which a machine may have set, are not asked.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(method: str, path: str, body: object) -> None:
        headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
        request = urllib.request.Request(base + path, json.dumps(body).encode(), headers, method=method)
        try:
            opener.open(request, timeout=20).close()
        except OSError as error:  # URLError and HTTPError too
            raise Refused(str(error)) from error

    def create_and_delete(created: list[str], deleted: list[str]) -> None:
        for name in deleted:
            call("DELETE", f"/vhosts/{name}", {})
        for name in created:
            call("PUT", f"/vhosts/{name}", {})
            call("PUT", f"/permissions/{name}/{user}", {"configure": ".*", "write": ".*", "read": ".*"})

    return create_and_delete


def _erlang(names: list[str]) -> str:
    """A list of binaries."""
    quoted = (name.replace("\\", "\\\\").replace('"', '\\"') for name in names)
    literals = ", ".join(f'<<"{name}">>' for name in quoted)
    return f"[{literals}]"
