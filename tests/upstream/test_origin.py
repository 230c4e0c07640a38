"""Where URLs lead."""

from __future__ import annotations

import pytest

from bm.upstream.origin import Location, Origin, locate


@pytest.mark.parametrize(
    ("url", "origin", "target", "host"),
    [
        ("https://api.example", ("https", "api.example", 443), "/", "api.example"),
        ("https://api.example/v1", ("https", "api.example", 443), "/v1", "api.example"),
        ("HTTP://API.Example:80/V1", ("http", "api.example", 80), "/V1", "api.example"),
        ("http://api.example:8080?a=b", ("http", "api.example", 8080), "/?a=b", "api.example:8080"),
        ("https://api.example:80/", ("https", "api.example", 80), "/", "api.example:80"),
        ("http://[2001:db8::1]:8/x", ("http", "2001:db8::1", 8), "/x", "[2001:db8::1]:8"),
        ("http://[::1]/x", ("http", "::1", 80), "/x", "[::1]"),
        ("https://bücher.example/x", ("https", "xn--bcher-kva.example", 443), "/x", "xn--bcher-kva.example"),
        (
            "https://a.example/m%2Fn:go?k=a%20b&l=%C3%A9",
            ("https", "a.example", 443),
            "/m%2Fn:go?k=a%20b&l=%C3%A9",
            None,
        ),
        ("https://a.example/é?ü#part", ("https", "a.example", 443), "/%C3%A9?%C3%BC", None),
        ("https://a.example//x/../y;z", ("https", "a.example", 443), "//x/../y;z", None),
    ],
)
def test_the_origin_and_the_target_of_a_url(
    url: str, origin: tuple[str, str, int], target: str, host: str | None
) -> None:
    location = locate(url)
    assert location == Location(Origin(*origin), target)
    assert location.origin.host_header == (host or origin[1])


def test_a_user_in_the_url_is_a_header() -> None:
    location = locate("https://us%C3%A9r:p%40ss@a.example:8443/x")
    assert location.authorization == "Basic dXPDqXI6cEBzcw=="
    assert location.origin == Origin("https", "a.example", 8443)
    assert location.absolute == "https://a.example:8443/x"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/v1",
        "api.example/v1",
        "ftp://api.example",
        "http:///x",
        "http://a.example:port/",
        "http://a.example:99999/",
        "http://a.example/x y",
        "http://a.example/x\r\nhost: b",
        "http://a.example/x\ny",
        "http://a.example\t/x",
        "http://a.example/\x00",
        "http://a.example/\x7f",
        "http://" + "a" * 64 + "é.example/",
    ],
)
def test_what_is_no_url_or_could_end_a_request_line_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        locate(url)
