"""Bodies of events as plain text, however Exchange wrapped them."""

from __future__ import annotations

from html.parser import HTMLParser

_BREAKS = {"br", "p", "div", "li", "tr", "table", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6"}
_HIDDEN = {"head", "style", "script", "title"}


def plain(content: str, content_type: str) -> str:
    r"""Give the text of a body: line ends are \n, nothing blank at its end; HTML loses its tags."""
    text = _stripped(content) if content_type.lower() == "html" else content
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip()


def lines(text: str) -> list[str]:
    """Give what matters of a text when two are compared: lines without runs of white space or blank lines.

    Exchange stores text bodies as HTML and adds or drops blank lines on the way.
    """
    squeezed = (" ".join(line.split()) for line in text.splitlines())
    return [line for line in squeezed if line]


def _stripped(html: str) -> str:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return "\n".join(" ".join(line.split()) for line in "".join(reader.parts).split("\n")).strip()


class _Reader(HTMLParser):
    """Collect the text between tags, with a line end where a block or a break is."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag in _HIDDEN:
            self._hidden += 1
        elif tag in _BREAKS:
            self._new_line(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag in _BREAKS and tag != "br":
            self._new_line(tag)

    def handle_data(self, data: str) -> None:
        at_start = not self.parts or self.parts[-1].endswith("\n")
        if not self._hidden and not (at_start and data.isspace()):
            self.parts.append(" ".join(data.split("\n")))

    def _new_line(self, tag: str) -> None:
        """Start a line; a block does so only once, a break each time."""
        if tag == "br" or (self.parts and not self.parts[-1].endswith("\n")):
            self.parts.append("\n")
