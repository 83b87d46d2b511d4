"""The story: a week of a maintenance company that has just installed the connector."""

from demo.cast import ALICE, BOB, CAROL, DAN, DAVE, ERIN, FRANK, GRACE, HEIDI, UMA
from demo.steps import (
    Assign,
    Backfill,
    Burst,
    Chapter,
    Create,
    Delete,
    Edit,
    Quickly,
    SwitchOff,
    TakeOut,
    When,
)

WHOLE_DAY = 24

BEFORE = (
    Create("boiler", "Boiler inspection", (ALICE,), When(0, 8)),
    Create("roof", "Roof inspection", (BOB, FRANK), When(1, 13)),
    Create("lift", "Yearly service of lift 2", (CAROL,), When(2, 9), {"body": "Bring the long ladder."}),
    Create("alarm", "Fire alarm test", (ERIN,), When(2, 14)),
)
"""Planned before the connector was installed. An earlier connector put `lift` and `alarm` into calendars."""

LEFT_BEHIND = {"lift": CAROL, "alarm": ERIN}
"""In whose calendars the earlier connector's events are."""
STORED = "lift"
"""The planning has stored the ids of this one; nothing but times and subject tell about the other."""

FOUND = Chapter(
    "What was planned before the installation is found",
    (
        Backfill("boiler", "Boiler inspection", (ALICE,)),
        Backfill("roof", "Roof inspection", (BOB, FRANK)),
        Backfill("lift", "Yearly service of lift 2", (CAROL,), outcome="shown, adopted by its id"),
        Backfill("alarm", "Fire alarm test", (ERIN,), outcome="shown, adopted by its looks"),
    ),
)

PRIVATE = ((ALICE, "Dentist", When(0, 16, 1)), (ERIN, "Lunch with Sam", When(2, 12, 1)))
"""What people put into their calendars themselves; nobody may touch it."""

PLANNING = Chapter(
    "The week is planned",
    (
        Create("valve", "Replace valve", (ALICE,), When(0, 10), {"location": "Dock 4", "category": "Repair"}),
        Create("pump", "Pump overhaul", (BOB,), When(0, 9, 3), {"importance": 1}),
        Create("meters", "Read the meters", (CAROL,), When(1, 8)),
        Create("line", "Line 3 stands still", (ERIN,), When(0, 7, 4), {"show_as": 4, "category": "Repair"}),
        Create("talk", "Appraisal", (FRANK,), When(0, 15, 1), {"sensitivity": 3}),
        Create("crane", "Crane certificate", (GRACE,), When(1, 10)),
        Create("filters", "Change the filters", (HEIDI,), When(1, 9)),
        Create("lamps", "Lamps in hall 2", (HEIDI,), When(3, 9)),
        Create("tank", "Clean the tank", (ALICE, BOB), When(2, 8, 4)),
        Create("audit", "Safety audit", (CAROL, FRANK), When(3, 8, 6), {"location": "Main gate"}),
        Create("course", "First-aid course", (BOB,), When(4, 0, WHOLE_DAY), {"all_day": True}),
        # Nothing says that it is all-day but that it lasts from midnight to midnight where Erin lives.
        Create("stock", "Stock-taking", (ERIN,), When(3, 0, WHOLE_DAY, "Europe/Berlin"), {"all_day": None}),
        Create(
            "notes", "Handover", (CAROL,), When(4, 15, 1), {"body": "Keys: box 7\nCode: ask Bob\n\nThanks!"}
        ),
        Create(
            "long", "A very long subject", (FRANK,), When(4, 9), {"subject": "Inspect every joint, " * 20}
        ),
        Create("gate", "Gate motor", (ALICE,), When(3, 13), {"show_as": 2, "time_marker": "Confirmed"}),
        Create("van", "Van to the garage", (GRACE,), When(2, 8, 1), {"show_as": 5}),
        Create("boots", "Fit new boots", (ALICE,), When(2, 15, 1), {"importance": 2}),
        Create(
            "heat",
            "Heating, building 9",
            (BOB,),
            When(1, 6, 2),
            {"location": "Building 9", "category": "Repair"},
        ),
        Create("weld", "Weld the frame", (CAROL,), When(0, 12, 3)),
        Create("test", "Test run of line 3", (ERIN,), When(1, 12, 1), {"body": "Only after the repair."}),
        Create("pipes", "Rinse the pipes", (FRANK,), When(2, 10)),
        Create("paint", "Paint the railing", (HEIDI, CAROL), When(4, 8)),
    ),
)

NOT_EVERYBODY = Chapter(
    "Not everybody can, or wants to, see it in Outlook",
    (
        Create("shelf", "Mount a shelf", (DAVE,), When(0, 13), expect="planned", outcome="not taking part"),
        Create("cable", "Lay cables", (UMA,), When(0, 8), expect="held"),
        Create("server", "Server room", (DAN,), When(1, 8), expect="held"),
        # One mailbox that is held does not hold up another.
        Create("duct", "Seal the air duct", (BOB, UMA), When(3, 10)),
    ),
)

CHANGES = Chapter(
    "Plans change",
    (
        Edit("valve", "Replace valve", (ALICE,), When(1, 8)),
        Edit(
            "pump", "Pump overhaul", (BOB,), fields={"subject": "Pump overhaul, with Kim", "body": "Ask Kim."}
        ),
        Assign("meters", "Read the meters", (ERIN,)),
        Assign("talk", "Appraisal", (FRANK, BOB)),
        Assign("tank", "Clean the tank", (BOB,)),
        Edit("line", "Line 3 stands still", (ERIN,), fields={"category": "Done", "importance": 2}),
        Edit("gate", "Gate motor", (ALICE,), fields={"location": "Gate 2", "show_as": 3}),
        Edit("course", "First-aid course, half a day", (BOB,), When(4, 8, 4), {"all_day": False}),
        Edit("notes", "Handover", (CAROL,), fields={"body": None, "sensitivity": 2}),
        Edit("crane", "Crane certificate", (GRACE,), When(1, 14)),
        Edit("boiler", "Boiler inspection", (ALICE,), When(0, 9)),
        Edit("lift", "Yearly service of lift 2", (CAROL,), When(2, 10)),
        Edit("cable", "Lay cables", (UMA,), When(0, 9), expect="held"),
    ),
)

HURRY = Chapter(
    "A busy minute",
    (
        Burst("van", "Van to the garage, 20 times", (GRACE,), When(2, 10, 1)),
        Quickly(
            "flood",
            "Cellar under water: plan, move, hand over",
            (FRANK,),
            (
                Create("flood", "Cellar under water", (ALICE,), When(0, 18)),
                Edit("flood", "Cellar under water", (ALICE,), When(0, 19)),
                Assign("flood", "Cellar under water", (FRANK,)),
            ),
        ),
        Quickly(
            "hoax",
            "False alarm: plan and delete",
            (CAROL,),
            (Create("hoax", "False alarm", (CAROL,), When(0, 20)), Delete("hoax", "False alarm", (CAROL,))),
            expect="planned",
            outcome="nothing to see",
        ),
    ),
)

END = Chapter(
    "Some of it is called off",
    (
        Delete("long", "Inspect every joint", (FRANK,)),
        Delete("audit", "Safety audit", (CAROL, FRANK)),
        Delete("roof", "Roof inspection", (BOB, FRANK)),
        TakeOut("", "Heidi does not take part any more", (HEIDI,)),
        SwitchOff(
            "", "Grace's mailbox is switched off", (GRACE,), expect="nothing", outcome="keeps its events"
        ),
        Edit(
            "crane",
            "Crane certificate",
            (GRACE,),
            When(3, 9),
            expect="skipped",
            outcome="skipped: switched off",
        ),
    ),
)

CHAPTERS = (FOUND, PLANNING, NOT_EVERYBODY, CHANGES, HURRY, END)
