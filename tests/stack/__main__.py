"""`python -m stack status` lists what runs of this clone left running; `python -m stack stop` ends it."""

import sys

from stack import ledger


def main() -> int:
    """Exit status 2 for wrong usage."""
    match sys.argv[1:]:
        case ["status"]:
            for note in ledger.notes():
                names = ", ".join(f"{each['name']} ({each['pid'].number})" for each in note["processes"])
                print(f"{note['command']} ({note['owner'].number}): {names or 'nothing'}")
        case ["stop"]:
            print(f"stopped {ledger.stop_everything()} processes")
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
