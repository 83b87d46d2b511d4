import pytest

from common.graph import text


@pytest.mark.parametrize(
    ("content", "kind", "plain"),
    [
        ("one\r\ntwo\r\n", "text", "one\ntwo"),
        ("  kept  \n", "text", "  kept"),
        ("<b>no tag here</b>", "text", "<b>no tag here</b>"),
        ("", "html", ""),
        (
            "<html><head><style>p {margin: 0}</style></head><body><p>Pump &amp; valve</p><p>2nd<br>line</p></body></html>",
            "html",
            "Pump & valve\n2nd\nline",
        ),
        ("<div>one</div>\r\n<div>two</div>", "HTML", "one\ntwo"),
        ("<ul><li>a</li><li>b</li></ul>", "html", "a\nb"),
        ("a &lt; b<script>alert(1)</script>", "html", "a < b"),
    ],
)
def test_gives_a_body_as_plain_text(content, kind, plain):
    assert text.plain(content, kind) == plain


@pytest.mark.parametrize(
    ("one", "other"),
    [("a\r\nb\r\n", "a\nb"), ("a\n\n\nb", "a\nb"), ("a\u00a0 b ", "a b"), ("\n\na", "a")],
)
def test_lines_ignore_what_exchange_adds(one, other):
    assert text.lines(one) == text.lines(other)


@pytest.mark.parametrize(("one", "other"), [("a\nb", "a b"), ("a", "A"), ("a", ""), ("ab", "a b")])
def test_lines_keep_what_people_write(one, other):
    assert text.lines(one) != text.lines(other)
