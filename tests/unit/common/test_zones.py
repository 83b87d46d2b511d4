import pytest

from common import zones


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Romance Standard Time", "Europe/Paris"),
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("Europe/Brussels", "Europe/Brussels"),
        ("UTC", "Etc/UTC"),
        ("tzone://Microsoft/Utc", "UTC"),
    ],
)
def test_knows_windows_and_iana_names(name, key):
    assert str(zones.zone(name)) == key


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Customized Time Zone",
        "tzone://Microsoft/Custom",
        "../etc/passwd",
        "/etc/passwd",
        "Europe",
        "a\0b",
    ],
)
def test_a_customised_or_unknown_name_is_no_zone(name):
    assert zones.zone(name) is None


@pytest.mark.parametrize(
    ("name", "windows"),
    [
        ("Europe/Brussels", "Romance Standard Time"),
        ("Romance Standard Time", "Romance Standard Time"),
        ("UTC", "UTC"),
        ("Nowhere/Atlantis", None),
    ],
)
def test_gives_the_windows_name(name, windows):
    assert zones.windows(name) == windows
