"""A broker's address with a password in it, and whatever people do to it."""

from __future__ import annotations

from hypothesis import strategies as st

_SECRETS = st.text(
    st.sampled_from("#@:/?[]%\\ \t&=+;,'\"<>{}|^~℀é"), min_size=0, max_size=3
).flatmap(lambda odd: st.sampled_from([f"hunter{odd}2secret", f"{odd}hunter2", f"hunter2{odd}"]))


@st.composite
def broken_urls(draw: st.DrawFn) -> str:
    """User and password both hold the word ``hunter``, and nothing else does."""
    scheme = draw(st.sampled_from(["mqtt://", "mqtts://", "mqtt:/", "mqtt:", "//", "", "http://"]))
    user = draw(st.sampled_from(["hunter", "", "hunter%3Ahunter", "h@hunter"]))
    joint = draw(st.sampled_from([":", "%3A", "::", ";hunter:"]))
    host = draw(st.sampled_from(["@host", "@host:1883", "@", "@[::1", "@[x]", "@host:x", "@h/x"]))
    return f"{scheme}{user}{joint}{draw(_SECRETS)}{host}"
