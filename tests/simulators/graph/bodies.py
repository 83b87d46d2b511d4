"""What Exchange makes of an event's body: everything is kept as an HTML document, text is converted."""

import re
from html import escape
from html.parser import HTMLParser
from typing import NamedTuple

PREVIEW_LENGTH = 255

_META = '<meta http-equiv="Content-Type" content="text/html; charset=utf-8">'
_FROM_TEXT = (
    f"<html>\r\n<head>\r\n{_META}\r\n"
    '<meta name="Generator" content="Microsoft Exchange Server">\r\n<!-- converted from text -->\r\n'
    "<style><!-- .EmailQuote {{ margin-left: 1pt; padding-left: 4pt; "
    "border-left: #800000 2px solid; }} --></style></head>\r\n<body>\r\n"
    '<font size="2"><span style="font-size:11pt;"><div class="PlainText">{}</div></span></font>\r\n'
    "</body>\r\n</html>\r\n"
)
_FROM_FRAGMENT = "<html>\r\n<head>\r\n" + _META + "\r\n</head>\r\n<body>\r\n{}\r\n</body>\r\n</html>\r\n"


class Body(NamedTuple):
    """One body in both forms a client may ask for."""

    html: str
    text: str

    @property
    def preview(self) -> str:
        """The first 255 characters of the text."""
        return self.text[:PREVIEW_LENGTH].strip()


EMPTY = Body("", "")


def from_text(content: str) -> Body:
    """Text comes back with CRLF, without blanks at line ends, and with one line end after the last line."""
    lines = [line.rstrip() for line in re.split(r"\r\n|\r|\n", content)]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        return EMPTY
    return Body(_FROM_TEXT.format("<br>\r\n".join(map(escape, lines))), "\r\n".join(lines) + "\r\n")


def from_html(content: str) -> Body:
    """A fragment is wrapped into a document, a document gets the meta element of Exchange."""
    if not content.strip():
        return EMPTY
    if "<html" not in content.lower():
        html = _FROM_FRAGMENT.format(content)
    elif _META in content:
        html = content
    else:
        html = re.sub(r"(?i)(<html[^>]*>)(\s*<head>)?", rf"\1<head>\r\n{_META}", content, count=1)
    return Body(html, _text_of(content))


class _TextOf(HTMLParser):
    """Collects the visible text; blocks and line breaks become line ends."""

    _BREAKS = frozenset(("br", "p", "div", "tr", "li", "h1", "h2", "h3"))
    _HIDDEN = frozenset(("style", "script", "head", "title"))

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self._HIDDEN:
            self._hidden += 1
        elif tag in self._BREAKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._HIDDEN:
            self._hidden = max(0, self._hidden - 1)

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(re.sub(r"[ \t\r\n]+", " ", data))


def _text_of(html: str) -> str:
    parser = _TextOf()
    parser.feed(html)
    parser.close()
    lines = [line.strip() for line in "".join(parser.parts).split("\n")]
    while lines and not lines[0]:
        lines.pop(0)
    return from_text("\n".join(lines)).text
