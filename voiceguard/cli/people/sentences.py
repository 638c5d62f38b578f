"""What is read aloud at an enrollment: five sentences that hold nearly all sounds of a language."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from voiceguard.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

SENTENCES: dict[str, tuple[str, ...]] = {
    "en": (
        "The quick grey fox and a lazy brown dog watched the river all morning.",
        "Please give my father five boxes of fresh orange juice on Thursday.",
        "She just bought the yellow house with a garden near the old church.",
        "Why should nobody hear the choir sing while thunder rolls above us?",
        "I measure each voyage by the time it takes to get home again.",
    ),
    "de": (
        "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
        "Am Donnerstag möchte mein Vater fünf Kisten frischen Orangensaft.",
        "Die schöne Küche im alten Haus hat ein Fenster zum ruhigen Garten.",
        "Warum hört niemand den Chor singen, wenn draußen der Donner rollt?",
        "Ich messe jede Reise an der Zeit, die der lange Heimweg braucht.",
    ),
    "fr": (
        "Portez ce vieux whisky au juge blond qui fume sur son île.",
        "Jeudi, mon père voudrait cinq caisses de jus d'orange bien frais.",
        "Elle vient d'acheter la maison jaune avec un jardin, près de l'église.",
        "Pourquoi personne n'entend-il chanter le chœur quand gronde le tonnerre ?",
        "Je mesure chaque voyage au temps qu'il faut pour rentrer chez moi.",
    ),
    "es": (
        "El veloz murciélago hindú comía feliz cardillo y kiwi junto al río.",
        "El jueves mi padre quiere cinco cajas de zumo de naranja muy fresco.",
        "Ella acaba de comprar la casa amarilla con jardín, cerca de la iglesia.",
        "¿Por qué nadie oye cantar al coro mientras retumba el trueno?",
        "Mido cada viaje por el tiempo que tardo en volver a mi casa.",
    ),
}
"""By language; any other text or language does as well."""


def sentences(language: str | None, environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Of a language, or of the environment's; English where that is none of these.

    Args:
        language: "de", "de_AT.UTF-8" or the like; None: as the environment says.
        environ: ``LC_ALL``, ``LC_MESSAGES`` and ``LANG`` say it, the first that is set.

    Raises:
        UsageError: There are none in the language that was asked for.
    """
    if language is not None and _short(language) not in SENTENCES:
        raise UsageError(
            f"there are no sentences in {language!r}",
            hint=f"there are {', '.join(SENTENCES)}; any text of your own may be read as well",
        )
    found = (environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    chosen = language or next(filter(None, found), "en")
    return SENTENCES.get(_short(chosen), SENTENCES["en"])


def _short(language: str) -> str:
    return language.replace("-", "_").partition("_")[0].partition(".")[0].lower()
