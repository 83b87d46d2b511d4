"""Settings: every source, every fault at once, and never a secret in a sentence."""

import json
from pathlib import Path
from typing import Literal, Self

import pytest
from pydantic import Field, model_validator

from common.settings import PUBLIC, CommonSettings, Profile, Section, SettingsFault, load, reveal

NEEDED = {
    "EXCONN_POSTGRES_DSN": "postgresql://alice:hush-1@db/state",
    "EXCONN_AMQP_URL": "amqps://bob:hush-2@mq/vhost",
    "EXCONN_INSTALLATION": "contoso",
}
PROFILE = {
    "EXCONN_PROFILES__CONTOSO__TENANT_ID": "00000000-0000-4000-8000-000000000001",
    "EXCONN_PROFILES__CONTOSO__CLIENT_ID": "00000000-0000-4000-8000-000000000002",
    "EXCONN_PROFILES__CONTOSO__CLIENT_SECRET": "hush-3",
}


class Tuning(Section):
    lanes: int = Field(50, ge=1, description="mailboxes worked on at once")
    reminder: int | Literal["off"] = 15


class Settings(CommonSettings):
    profiles: dict[str, Profile] = Field(default_factory=dict)
    publisher: Tuning = Tuning()
    retry_job_cron_expression: str = ""

    @model_validator(mode="after")
    def _lanes_suffice(self) -> Self:
        if self.publisher.lanes > 1000:
            raise ValueError("more lanes than anybody has mailboxes")
        return self


def faults(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsFault) as raised:
        load(Settings, environ)
    return raised.value.faults


@pytest.fixture
def file(tmp_path: Path):
    def write(text: str, name: str = "settings.json") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def test_what_is_needed_is_enough() -> None:
    settings = load(Settings, NEEDED)

    assert settings.postgres_dsn.get_secret_value() == NEEDED["EXCONN_POSTGRES_DSN"]
    assert reveal(settings.amqp_url) == NEEDED["EXCONN_AMQP_URL"]
    assert settings.outbound is True
    assert settings.inbound is False
    assert settings.publisher.lanes == 50


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(Settings, NEEDED).installation = "other"


def test_a_secret_is_in_no_text_of_the_settings() -> None:
    settings = load(Settings, NEEDED | PROFILE)

    assert "hush" not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_profiles_are_nested_and_their_names_are_lower_case() -> None:
    settings = load(
        Settings, NEEDED | PROFILE | {"EXCONN_PROFILES__CONTOSO__DOMAINS": "contoso.example, b.example"}
    )

    contoso = settings.profiles["contoso"]
    assert reveal(contoso.client_secret) == "hush-3"
    assert contoso.domains == ("contoso.example", "b.example")
    assert contoso.graph_url == "https://graph.microsoft.com/v1.0"


@pytest.mark.parametrize(
    "text", ["a.example,b.example", '["a.example", "b.example"]', " a.example , b.example ,"]
)
def test_a_list_is_written_with_commas_or_as_json(text) -> None:
    settings = load(Settings, NEEDED | PROFILE | {"EXCONN_PROFILES__CONTOSO__DOMAINS": text})

    assert settings.profiles["contoso"].domains == ("a.example", "b.example")


@pytest.mark.parametrize(
    ("text", "means"),
    [("on", True), ("off", False), ("ON", True), ("Off", False), ("true", True), ("false", False)],
)
def test_a_switch_is_on_or_off(text, means) -> None:
    assert load(Settings, NEEDED | {"EXCONN_OUTBOUND": text}).outbound is means


def test_every_fault_is_told_at_once() -> None:
    told = faults(
        {
            "EXCONN_AMQP_URL": "http://x",
            "EXCONN_OUTBOUND": "maybe",
            "EXCONN_OPS_PORT": "many",
            "EXCONN_PUBLISHER__LANES": "0",
            "EXCONN_PUBLISHER__LANS": "1",
            "EXCONN_NONSENSE": "1",
            "EXCONN_POSTGRES_DSN_FILE": "/nowhere",
            "EXCONN_PROFILES__CONTOSO__TENANT_ID": "t",
        }
    )

    assert sorted(line.partition(":")[0] for line in told) == [
        "EXCONN_AMQP_URL",
        "EXCONN_INSTALLATION",
        "EXCONN_NONSENSE",
        "EXCONN_OPS_PORT",
        "EXCONN_OUTBOUND",
        "EXCONN_POSTGRES_DSN_FILE",
        "EXCONN_PROFILES__CONTOSO__CLIENT_ID",
        "EXCONN_PUBLISHER__LANES",
        "EXCONN_PUBLISHER__LANS",
    ]


def test_a_missing_setting_is_told_with_its_meaning_and_both_ways_to_give_it() -> None:
    (told,) = faults({key: value for key, value in NEEDED.items() if key != "EXCONN_AMQP_URL"})

    assert told.startswith("EXCONN_AMQP_URL: is missing; message broker")
    assert told.endswith("EXCONN_AMQP_URL_FILE")


def test_a_value_of_no_possible_type_is_one_fault() -> None:
    (told,) = faults(NEEDED | {"EXCONN_PUBLISHER__REMINDER": "soon"})

    assert told.startswith("EXCONN_PUBLISHER__REMINDER: should be a valid integer")
    assert "'off'" in told


def test_a_fault_of_the_whole_stands_for_itself() -> None:
    assert faults(NEEDED | {"EXCONN_PUBLISHER__LANES": "1001"}) == ["more lanes than anybody has mailboxes"]


def test_a_mistyped_name_gets_a_hint() -> None:
    assert faults(NEEDED | {"EXCONN_INSTALATION": "x"}) == [
        "EXCONN_INSTALATION: is no setting; did you mean INSTALLATION?"
    ]


def test_no_fault_tells_a_secret() -> None:
    told = faults(
        {
            "EXCONN_POSTGRES_DSN": "mysql://alice:hush-1@db",
            "EXCONN_AMQP_URL": "hush-2",
            "EXCONN_INSTALLATION": "hush 3",
            **PROFILE,
            "EXCONN_PROFILES__CONTOSO__CERTIFICATE": "hush-4",
            "EXCONN_PROFILES__CONTOSO__LOGIN_URL": "https://u:hush-5@x",
            "EXCONN_OPS_PORT": "hush-6",
            "EXCONN_LOG_LEVEL_FILE": "hush-7",
        }
    )

    assert len(told) == 6
    assert "hush" not in " ".join(told)


@pytest.mark.parametrize("credentials", [{}, {"CLIENT_SECRET": "a", "CERTIFICATE": "b"}])
def test_a_profile_has_exactly_one_credential(credentials) -> None:
    prefix = "EXCONN_PROFILES__CONTOSO__"
    given = {prefix + "TENANT_ID": "t", prefix + "CLIENT_ID": "c"}

    (told,) = faults(NEEDED | given | {prefix + key: value for key, value in credentials.items()})

    assert told.startswith("EXCONN_PROFILES__CONTOSO: needs exactly one of CLIENT_SECRET and CERTIFICATE")


def test_a_secret_may_come_from_a_file_and_the_file_stays_known(file) -> None:
    path = file("hush-9\n", "secret")
    environ = {key: value for key, value in PROFILE.items() if "SECRET" not in key}

    settings = load(Settings, NEEDED | environ | {"EXCONN_PROFILES__CONTOSO__CLIENT_SECRET_FILE": path})

    assert reveal(settings.profiles["contoso"].client_secret) == "hush-9"
    assert settings.profiles["contoso"].client_secret_file == Path(path)


def test_any_setting_may_come_from_a_file(file) -> None:
    environ = {key: value for key, value in NEEDED.items() if key != "EXCONN_POSTGRES_DSN"}

    settings = load(Settings, environ | {"EXCONN_POSTGRES_DSN_FILE": file("postgresql://x/y\r\n", "dsn")})

    assert reveal(settings.postgres_dsn) == "postgresql://x/y"


def test_a_setting_and_its_file_are_one_too_many(file) -> None:
    (told,) = faults(NEEDED | {"EXCONN_POSTGRES_DSN_FILE": file("postgresql://x/y", "dsn")})

    assert "says the same as EXCONN_POSTGRES_DSN" in told


def test_ca_file_is_a_path_and_is_not_read(tmp_path) -> None:
    authorities = tmp_path / "ca.pem"
    authorities.write_text("no certificate")
    settings = load(Settings, NEEDED | PROFILE | {"EXCONN_PROFILES__CONTOSO__CA_FILE": str(authorities)})

    assert settings.profiles["contoso"].ca_file == authorities


def test_a_file_as_dot_net_writes_it_is_understood(file) -> None:
    path = file(
        """
        {
            // as in appsettings.json
            "RetryJobCronExpression": "0 * * * *", /* hourly */
            "AmqpUrl": "amqp://x",
            "POSTGRES_DSN": "postgresql://x/y",
            "installation": "contoso",
            "Rules": [],
            "Profiles": {
                "Contoso": {"TenantId": "t", "clientid": "c", "ClientSecret": "hush",
                            "Domains": ["contoso.example"],},
            },
            "Publisher": {"Lanes": 7},
        }
        """
    )

    settings = load(Settings, {"EXCONN_SETTINGS": path})

    assert settings.retry_job_cron_expression == "0 * * * *"
    assert settings.installation == "contoso"
    assert settings.publisher.lanes == 7
    assert settings.profiles["contoso"].domains == ("contoso.example",)


def test_a_file_with_a_byte_order_mark_is_understood(tmp_path) -> None:
    (tmp_path / "s.json").write_text('{"Outbound": "off"}', encoding="utf-8-sig")

    assert load(Settings, NEEDED | {"EXCONN_SETTINGS": str(tmp_path / "s.json")}).outbound is False


def test_the_environment_wins_over_the_file(file) -> None:
    path = file('{"installation": "file", "publisher": {"lanes": 7}, "opsPort": 5}')

    settings = load(Settings, NEEDED | {"EXCONN_SETTINGS": path, "EXCONN_PUBLISHER__LANES": "9"})

    assert (settings.installation, settings.publisher.lanes, settings.ops_port) == ("contoso", 9, 5)


def test_a_fault_in_the_file_names_key_and_file(file) -> None:
    path = file('{"Publisher": {"Lanes": "x", "Nonsense": 1}}')

    told = faults(NEEDED | {"EXCONN_SETTINGS": path})

    assert [line.partition(":")[0] for line in told] == [
        f"Publisher.Nonsense in {path}",
        f"Publisher.Lanes in {path}",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "is no JSON"), ("[]", "must hold one object"), (None, "No such file"), ("\x00", "is no JSON")],
)
def test_a_file_that_cannot_be_used_is_a_fault(file, tmp_path, text, says) -> None:
    path = str(tmp_path / "nowhere") if text is None else file(text)

    (told,) = faults(NEEDED | {"EXCONN_SETTINGS": path})

    assert told.startswith("EXCONN_SETTINGS")
    assert says in told


@pytest.mark.parametrize("name", ["RetryJobCronExpression", "EXCONN_RETRY_JOB_CRON_EXPRESSION"])
def test_the_originals_variable_is_accepted_as_it_is(name) -> None:
    assert load(Settings, NEEDED | {name: "0 5 * * *"}).retry_job_cron_expression == "0 5 * * *"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EXCONN_READER__ANYTHING", "1"),
        ("EXCONN_PLANNING_ODBC", "Driver=x"),
        ("EXCONN_PLANNING_ODBC_FILE", "/nowhere"),
        ("EXCONN_DIME__PASSWORD", "hush"),
        ("EXCONN_TEST_POSTGRES_DSN", "x"),
        ("RenewSubscriptionCronExpression", "0 0 * * *"),
        ("PATH", "/bin"),
        ("EXCONN_LOG_LEVEL", ""),
        ("EXCONN_OPS_PORT", ""),
        ("EXCONN_NONSENSE", ""),
    ],
)
def test_what_belongs_to_others_or_is_empty_is_ignored(name, value) -> None:
    assert load(Settings, NEEDED | {name: value}) == load(Settings, NEEDED)


@pytest.mark.parametrize("rules", ['{"Rules": {"a": "IsLocked"}}', '{"rules": [{"x": 1}]}'])
def test_rules_are_no_business_of_a_service_that_does_not_send(file, rules) -> None:
    assert load(Settings, NEEDED | {"EXCONN_SETTINGS": file(rules)}).installation == "contoso"


@pytest.mark.parametrize("rules", ['{"Rules": {}}', '{"Rules": []}', '{"Rules": null}', '{"rules": ""}'])
def test_empty_rules_are_accepted(file, rules) -> None:
    assert load(Settings, NEEDED | {"EXCONN_SETTINGS": file(rules)}).installation == "contoso"


@pytest.mark.parametrize("value", ["contoso", "a", "Contoso-1.test_2"])
def test_an_installations_name_is_plain(value) -> None:
    assert load(Settings, NEEDED | {"EXCONN_INSTALLATION": value}).installation == value


@pytest.mark.parametrize("value", ["with space", "-x", "x" * 65, "ü"])
def test_an_installations_name_is_nothing_else(value) -> None:
    assert len(faults(NEEDED | {"EXCONN_INSTALLATION": value})) == 1


def test_a_section_given_as_a_plain_value_is_one_fault() -> None:
    assert len(faults(NEEDED | {"EXCONN_PUBLISHER": "5"})) == 1


def test_a_profiles_value_and_a_profile_do_not_disturb_each_other() -> None:
    settings = load(Settings, NEEDED | PROFILE | {"EXCONN_PROFILES": ""})

    assert list(settings.profiles) == ["contoso"]


def test_json_of_a_file_is_typed(file) -> None:
    path = file(json.dumps({"outbound": False, "ops_port": 9}))

    settings = load(Settings, NEEDED | {"EXCONN_SETTINGS": path})

    assert (settings.outbound, settings.ops_port) == (False, 9)


def test_every_common_setting_is_public() -> None:
    assert set(CommonSettings.model_fields) <= PUBLIC
