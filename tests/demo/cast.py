"""Who takes part in the story."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Resource:
    """A resource of the planning and the mailbox it has."""

    no: str
    name: str
    address: str
    enabled: bool = True
    held: bool = False
    """Whether Microsoft 365 refuses every call to the mailbox."""
    time_zone: str = "UTC"


ALICE = Resource("R01", "Alice", "alice@contoso.example")
BOB = Resource("R02", "Bob", "bob@contoso.example")
CAROL = Resource("R03", "Carol", "carol@contoso.example")
DAVE = Resource("R04", "Dave", "dave@contoso.example", enabled=False)
ERIN = Resource("R05", "Erin", "erin@fabrikam.example", time_zone="W. Europe Standard Time")
FRANK = Resource("R06", "Frank", "frank@fabrikam.example")
GRACE = Resource("R07", "Grace", "grace@fabrikam.example")
HEIDI = Resource("R08", "Heidi", "heidi@contoso.example")
UMA = Resource("R09", "Uma", "unlicensed@contoso.example", held=True)
DAN = Resource("R10", "Dan", "denied@fabrikam.example", held=True)

CAST = (ALICE, BOB, CAROL, DAVE, ERIN, FRANK, GRACE, HEIDI, UMA, DAN)
