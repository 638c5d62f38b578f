"""Digits that somebody is asked to say, and whether a transcript holds them."""

from __future__ import annotations

import re
import secrets
from typing import Literal, TypeAlias

CHALLENGE_S = 10.0
"""How long digits are good for."""

Language: TypeAlias = Literal["de", "en", "es", "fr", "it", "nl"]

_WORDS: dict[Language, str] = {
    "de": "null eins zwei drei vier fünf sechs sieben acht neun",
    "en": "zero one two three four five six seven eight nine",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve",
    "fr": "zéro un deux trois quatre cinq six sept huit neuf",
    "it": "zero uno due tre quattro cinque sei sette otto nove",
    "nl": "nul een twee drie vier vijf zes zeven acht negen",
}
_OTHERWISE: dict[Language, dict[str, str]] = {
    "de": {"zwo": "2", "ein": "1"},
    "en": {"oh": "0", "o": "0"},
    "nl": {"één": "1"},
}


def draw_digits(num_digits: int) -> str:
    """Digits that nobody can foresee, from the system's generator."""
    return "".join(str(secrets.randbelow(10)) for _ in range(num_digits))


def digits_in(text: str, language: Language) -> str:
    """The digits of a transcript in their order, whether written as words or as digits.

    Args:
        text: As a speech-to-text gave it; other words are passed over.
        language: Of the words.
    """
    words = {word: str(digit) for digit, word in enumerate(_WORDS[language].split())}
    words |= _OTHERWISE.get(language, {})
    found = re.findall(r"[0-9]|[^\W\d_]+", text.lower())
    return "".join(each if each.isdecimal() else words.get(each, "") for each in found)
