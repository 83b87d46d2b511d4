import asyncio
import threading
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr

from common.errors import Configuration, Transient
from common.graph.profiles import credential
from common.graph.tokens import Tokens, refusal
from fakes import FakeProfile


class Entra:
    """Answers sign-ins with what is next in line; a number of its own in each token."""

    def __init__(self, *answers, lifetime=3599):
        self.asked = 0
        self.answers = list(answers)
        self.lifetime = lifetime
        self.open = threading.Event()
        self.open.set()

    def __call__(self, profile):
        self.open.wait(10)
        self.asked += 1
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer or {"access_token": f"token-{self.asked}", "expires_in": self.lifetime}


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
async def signed_in():
    """Make Tokens over an Entra, closed at the end."""
    made = []

    def make(entra, clock=None):
        made.append(Tokens(FakeProfile(), ask=entra, clock=clock or Clock()))
        return made[-1]

    yield make
    for tokens in made:
        await tokens.close()


def unavailable():
    return Transient("Entra ID answered 503", code="EXC-SIGN-IN-UNAVAILABLE", scope="tenant")


async def test_a_hundred_callers_share_one_sign_in(signed_in):
    entra = Entra()
    tokens = signed_in(entra)

    given = await asyncio.gather(*(tokens.token() for _ in range(100)))

    assert set(given) == {"token-1"}
    assert entra.asked == 1


async def test_waiting_callers_share_a_refusal_and_the_next_one_asks_again(signed_in):
    entra = Entra({"error": "invalid_client", "error_codes": [7000215]})
    tokens = signed_in(entra)

    refused = await asyncio.gather(*(tokens.token() for _ in range(10)), return_exceptions=True)
    given = await tokens.token()

    assert {(type(error), error.code) for error in refused} == {(Configuration, "EXC-SIGN-IN-SECRET")}
    assert given == "token-2"


async def test_a_cancelled_caller_does_not_take_the_others_along(signed_in):
    entra = Entra()
    entra.open.clear()
    tokens = signed_in(entra)
    first, second = asyncio.create_task(tokens.token()), asyncio.create_task(tokens.token())
    await asyncio.sleep(0)
    first.cancel()
    entra.open.set()

    assert await second == "token-1"
    assert first.cancelled()


async def test_a_token_is_renewed_five_minutes_before_it_expires(signed_in):
    clock, entra = Clock(), Entra(lifetime=3600)
    tokens = signed_in(entra, clock)
    await tokens.token()
    clock.now += 3299
    assert await tokens.token() == "token-1"
    clock.now += 2

    assert await tokens.token() == "token-2"


async def test_a_token_in_its_last_minutes_is_used_while_entra_is_away(signed_in):
    clock, entra = Clock(), Entra(None, unavailable(), unavailable(), lifetime=3600)
    tokens = signed_in(entra, clock)
    await tokens.token()
    clock.now += 3400
    assert await tokens.token() == "token-1"
    clock.now += 300

    with pytest.raises(Transient):
        await tokens.token()


async def test_a_rejected_token_is_not_given_again(signed_in):
    tokens = signed_in(Entra())
    tokens.reject(await tokens.token())

    assert await tokens.token() == "token-2"


async def test_a_late_rejection_does_not_throw_a_newer_token_away(signed_in):
    tokens = signed_in(Entra())
    old = await tokens.token()
    tokens.reject(old)
    await tokens.token()
    tokens.reject(old)

    assert await tokens.token() == "token-2"


@pytest.mark.parametrize(
    ("error", "numbers", "code"),
    [
        ("invalid_client", [7000215], "EXC-SIGN-IN-SECRET"),
        ("invalid_client", [7000222], "EXC-SIGN-IN-SECRET"),
        ("invalid_client", [700027], "EXC-SIGN-IN-SECRET"),
        ("unauthorized_client", [700016], "EXC-SIGN-IN-CLIENT"),
        ("invalid_request", [90002], "EXC-SIGN-IN-TENANT"),
        ("invalid_request", [900023], "EXC-SIGN-IN-TENANT"),
        ("invalid_request", [900144], "EXC-SIGN-IN-REFUSED"),
        ("invalid_scope", [1002012], "EXC-SIGN-IN-REFUSED"),
        ("invalid_resource", [500011], "EXC-SIGN-IN-REFUSED"),
        (None, None, "EXC-SIGN-IN-REFUSED"),
    ],
)
def test_a_refused_sign_in_has_one_code(error, numbers, code):
    decided = refusal(
        {"error": error, "error_codes": numbers, "error_description": "AADSTS: secret 'hunter2'"}
    )

    assert (type(decided), decided.code, decided.scope) == (Configuration, code, "tenant")
    assert "hunter2" not in str(decided)


def test_a_sign_in_may_be_refused_for_the_moment():
    assert isinstance(refusal({"error": "temporarily_unavailable"}), Transient)


def issued(key_type=trustme.KeyType.RSA):
    """A certificate's text, and that of its key."""
    made = trustme.CA().issue_cert("connector.example", key_type=key_type)
    return made.cert_chain_pems[0].bytes().decode(), made.private_key_pem.bytes().decode()


def test_a_secret_is_given_as_it_is():
    assert credential(FakeProfile(client_secret=SecretStr("hunter2"))) == "hunter2"
    assert credential(FakeProfile(client_secret="hunter2")) == "hunter2"


def test_a_secret_in_a_file_is_read_again(tmp_path):
    file = tmp_path / "secret"
    profile = FakeProfile(client_secret=SecretStr("old"), client_secret_file=file)
    file.write_text("old\n")
    before = credential(profile)
    file.write_text("new\n")

    assert (before, credential(profile)) == ("old", "new")


def test_a_certificate_is_given_as_text_as_path_or_as_file(tmp_path):
    text = "".join(issued())
    file = tmp_path / "client.pem"
    file.write_text(text)

    given = [
        credential(FakeProfile(certificate=SecretStr(text))),
        credential(FakeProfile(certificate=str(file))),
        credential(FakeProfile(certificate_file=file)),
    ]

    assert given[0] == given[1] == given[2]
    assert given[0]["private_key"].startswith("-----BEGIN")
    assert given[0]["public_certificate"].startswith("-----BEGIN CERTIFICATE")


@pytest.mark.parametrize(
    "profile",
    [
        FakeProfile(certificate="/does/not/exist.pem"),
        FakeProfile(client_secret_file=Path("/does/not/exist")),
        FakeProfile(certificate="-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----"),
        FakeProfile(
            certificate="-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n"
            "-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----"
        ),
    ],
)
def test_an_unusable_credential_is_the_administrators(profile):
    with pytest.raises(Configuration) as caught:
        credential(profile)

    assert caught.value.code == "EXC-SIGN-IN-SECRET"
    assert "hunter2" not in str(caught.value)


def test_a_certificate_needs_its_own_key_of_rsa():
    certificate, key = issued()
    other_certificate, _ = issued()
    mixed, elliptic = other_certificate + key, "".join(issued(trustme.KeyType.ECDSA))

    assert credential(FakeProfile(certificate=certificate + key))
    for text in (mixed, elliptic, certificate, key):
        with pytest.raises(Configuration):
            credential(FakeProfile(certificate=text))
