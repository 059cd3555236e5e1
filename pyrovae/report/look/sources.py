"""Publications: found where texts name them, and written for BibTeX.

Families, metrics and captions name their sources as text: authors and year, an arXiv number or a
DOI. Here they become entries with keys. ``sources.bib``, beside this module, has those that are
known in full; of any other, such as a plug-in's, the entry has what its text tells.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_ID = re.compile(r"arXiv:(\d{4}\.\d{4,5})|doi:(10\.[^\s;,)]+)")
_SURNAME = r"(?:[Vv]an den |De )?[A-Z][\w'’-]+"
#: Authors and year: "Kim & Mnih 2018", "Burda et al. (2016)", "LeCun, Huang, Bottou (CVPR 2004)".
_NAMED = re.compile(
    rf"({_SURNAME}(?:(?:,? & |,? and |, ){_SURNAME})*(?:,? et al\.)?),? \(?((?:19|20)\d\d)\b"
)
#: The same with a venue, which takes several authors: "(Kruschke 2018)" behind a capital is none.
_AT_VENUE = re.compile(
    rf"({_SURNAME}(?:(?:, {_SURNAME})+|(?:, {_SURNAME})*,? et al\.)) "
    r"\([A-Z][A-Za-z.]*(?: [a-z]+| [A-Z0-9][A-Za-z.]*)* ((?:19|20)\d\d)\b"
)
_FIELD = re.compile(r"(\w+) = \{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}")


@dataclass(frozen=True)
class Source:
    """A publication.

    Attributes
    ----------
    key
        For ``\\cite``.
    short
        As a sentence names it: ``"Kingma & Welling 2014"``.
    entry
        For BibTeX.
    """

    key: str
    short: str
    entry: str


def cited(text: str) -> list[Source]:
    """Return the publications that a text names, in order, each once.

    >>> [source.short for source in cited("Kim & Mnih 2018, eq. 2; arXiv:1802.05983")]
    ['Kim & Mnih 2018']
    >>> [source.key for source in cited("the law of Asperti and Trentin (2020); Someone 1999")]
    ['asperti2020', 'someone1999']
    """
    found: dict[str, Source] = {}
    at_venue = list(_AT_VENUE.finditer(text))
    inside = [range(place.start(), place.end()) for place in at_venue]
    plain = (m for m in _NAMED.finditer(text) if not any(m.start() in span for span in inside))
    places = sorted([*at_venue, *plain], key=lambda place: place.start())
    starts = [place.start() for place in places]
    before = text[: starts[0]] if starts else text
    for match in _ID.finditer(before):
        source = _by_id(match) or _made("", "", _identity(match))
        found[source.key] = source
    for i, place in enumerate(places):
        end = starts[i + 1] if i + 1 < len(starts) else len(text)
        ids = list(_ID.finditer(text, place.end(), end))
        # The first number is that of what was named before it; others stand for themselves.
        named = (_by_id(ids[0]) if ids else None) or _by_name(place[1], place[2])
        told = _identity(ids[0]) if ids else {}
        more = [_by_id(match) or _made("", "", _identity(match)) for match in ids[1:]]
        for source in (named or _made(place[1], place[2], told), *more):
            found[source.key] = source
    return list(found.values())


def bibliography(sources: Iterable[Source]) -> str:
    """Return a ``.bib`` file, each source once, by key."""
    entries = {source.key: source.entry for source in sources}
    return "\n\n".join(entries[key] for key in sorted(entries)) + "\n"


@cache
def _known() -> dict[str, tuple[Source, dict[str, str]]]:
    """Return the entries of ``sources.bib`` with their fields, by key."""
    found = {}
    for entry in (Path(__file__).parent / "sources.bib").read_text().split("\n@"):
        text = "@" + entry.strip().removeprefix("@")
        match = re.match(r"@\w+\{(\w+),", text)
        assert match is not None, text
        fields = {name.lower(): value for name, value in _FIELD.findall(text)}
        short = f"{_short(_surnames(fields['author']))} {fields['year']}"
        found[match[1]] = (Source(match[1], short, text), fields)
    return found


def _surnames(author: str) -> list[str]:
    return [_plain(name.partition(",")[0]) for name in author.split(" and ")]


def _plain(text: str) -> str:
    r"""Return a name without BibTeX's accents.

    >>> _plain(r'St{\"u}hmer')
    'Stühmer'
    """
    marks = {'"': "\u0308", "'": "\u0301", "`": "\u0300"}
    accented = re.sub(
        r"\{\\([\"'`])(\w)\}",
        lambda m: unicodedata.normalize("NFC", m[2] + marks[m[1]]),
        text,
    )
    return re.sub(r"[{}\\]", "", accented)


def _short(surnames: list[str]) -> str:
    if len(surnames) > 2:
        return f"{surnames[0]} et al."
    return " & ".join(surnames)


def _by_id(match: re.Match[str]) -> Source | None:
    field, value = next(iter(_identity(match).items()))
    for source, fields in _known().values():
        if fields.get(field, "").lower() == value.lower():
            return source
    return None


def _identity(match: re.Match[str]) -> dict[str, str]:
    return {"eprint": match[1]} if match[1] else {"doi": match[2].rstrip(".")}


def _by_name(authors: str, year: str) -> Source | None:
    """Return the known source of these authors, told apart from others by the second of them."""
    named = _split(authors)
    same = []
    for source, fields in _known().values():
        surnames = _surnames(fields["author"])
        if fields["year"] == year and _folded(surnames[0]) == _folded(named[0]):
            if len(named) > 1 and _folded(surnames[min(1, len(surnames) - 1)]) != _folded(named[1]):
                continue
            same.append(source)
    return same[0] if len(same) == 1 else None


def _named(authors: str) -> str:
    """Return authors as a sentence names them."""
    names = _split(authors)
    return f"{names[0]} et al." if "et al." in authors else _short(names)


def _split(authors: str) -> list[str]:
    plain = re.sub(r",? et al\.", "", authors)
    return re.split(r",? & |,? and |, ", plain)


def _folded(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name)
    return "".join(c for c in letters if c.isascii() and c.isalnum()).lower()


def _made(authors: str, year: str, identity: dict[str, str]) -> Source:
    """Return an entry of what a text tells; its title is left to be filled in."""
    told = next(iter(identity.values()), "")
    key = f"{_folded(_split(authors)[0])}{year}" if authors else re.sub(r"\W", "", f"id{told}")
    if key in _known():  # Another work of the same first author and year.
        key = f"{''.join(map(_folded, _split(authors)))}{year}"
    others = " and others" if "et al." in authors else ""
    fields = {
        "author": " and ".join(f"{{{name}}}" for name in _split(authors)) + others,
        "title": "{Title to be filled in}",
        "year": year,
        **identity,
        **({"archiveprefix": "arXiv"} if "eprint" in identity else {}),
    }
    known = ", ".join(f"{name} = {{{value}}}" for name, value in fields.items() if value)
    short = f"{_named(authors)} {year}" if authors else told
    return Source(key, short, f"@misc{{{key}, {known}}}")
