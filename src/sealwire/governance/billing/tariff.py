"""The tariff file: prices per prefix and item, in whole millicents. Form: docs/formats/tariff.md.

Encryption, sealing, keys and erasure are free: a file that names a price for any of them is refused.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from sealwire.errors import Malformed, Refused
from sealwire.governance.billing.rating import Increments, Price, Prices

FORMAT = 1
PRICE_MAX = 100_000_000
_HEAD = {"format", "name", "currency"}
_TIMED = ("platform", "extra-leg", "speech", "internal")
_BY_PREFIX = {"inbound": "per_minute", "outbound": "per_minute", "sms": "per_segment"}
_PREFIX = re.compile(r"\+|\+[1-9][0-9]{0,14}|[0-9*#]{2,8}")
_BILLING = re.compile(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})")
_FREE_WORDS = re.compile(
    r"en-?crypt|de-?crypt|crypt|cipher|(?<![a-z])seal|(?<![a-z])keys?(?![a-z])|(?<![a-z])(age|aes|pgp|hsm|kms)(?![a-z])"
    r"|eras(e|ure)|delet|forget|punctur|shred|privacy|gdpr|certificate"
)


class TariffRefused(Malformed):
    """The tariff cannot be used; correct the line that is named and start again."""


class PriceForEncryption(Refused):
    """Encryption, sealing, keys and erasure are free here and cannot be given a price; take it out of the tariff."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """A tariff that was checked. `version` names it in every charge: its name and the hash of its text."""

    version: str
    currency: str
    platform: Price
    extra_leg: Price
    speech: Price
    internal: Price
    inbound: Prices
    outbound: Prices
    sms: Prices


def load_tariff(file: str = "") -> Tariff:
    """Read the tariff at this path, or the one that comes with Sealwire; TariffRefused or PriceForEncryption."""
    if not file:
        return parse_tariff((files(__package__) / "tariff.toml").read_text())
    try:
        return parse_tariff(Path(file).read_text())
    except (OSError, UnicodeDecodeError):
        raise TariffRefused("the tariff file cannot be read; check the setting `tariff`") from None


def parse_tariff(text: str) -> Tariff:
    """Check the text of a tariff file, all of it, before anything is rated by it."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TariffRefused(f"the tariff is not TOML: {error}") from None
    return _Reader(text, document).tariff()


class _Reader:
    """Walks one document and knows on which line things stand."""

    def __init__(self, text: str, document: dict[str, Any]) -> None:
        self._text, self._document, self._lines = text, document, dict(_lines_of(text))

    def tariff(self) -> Tariff:
        self._refuse_price_for_encryption(self._document, ())
        for name in self._document.keys() - _HEAD - set(_TIMED) - _BY_PREFIX.keys():
            raise self._wrong((name,), f"`{name}` is no item of a tariff")
        if self._document.get("format") != FORMAT:
            raise self._wrong(("format",), f"write `format = {FORMAT}`")
        name, currency = self._word("name", r"[a-z0-9][a-z0-9.-]{0,39}"), self._word("currency", "[A-Z]{3}")
        platform, extra_leg, speech, internal = (self._price((item,), self._document.get(item)) for item in _TIMED)
        inbound, outbound, sms = (self._prices(item, unit) for item, unit in _BY_PREFIX.items())
        if inbound.of("+1") is None:
            raise self._wrong(("inbound",), 'inbound needs a price for the prefix "+", for every number there is')
        version = f"{name}@{sha256(self._text.encode()).hexdigest()[:12]}"
        return Tariff(version, currency, platform, extra_leg, speech, internal, inbound, outbound, sms)

    def _refuse_price_for_encryption(self, node: Any, path: tuple[str, ...]) -> None:
        """Whatever its price, and wherever it stands: as an item, as a part of one, or as a prefix."""
        if isinstance(node, dict):
            for name, value in node.items():
                if _FREE_WORDS.search(name.lower()):
                    raise self._wrong((*path, name), f"`{name}`: {PriceForEncryption.__doc__}", PriceForEncryption)
                self._refuse_price_for_encryption(value, (*path, name))
        elif isinstance(node, list):
            for at, value in enumerate(node):
                self._refuse_price_for_encryption(value, (*path, str(at)))
        elif isinstance(node, str) and path[-1] != "name" and _FREE_WORDS.search(node.lower()):
            raise self._wrong(path, f"`{node}`: {PriceForEncryption.__doc__}", PriceForEncryption)

    def _word(self, name: str, form: str) -> str:
        word = self._document.get(name)
        if not isinstance(word, str) or not re.fullmatch(form, word):
            raise self._wrong((name,), f"`{name}` must match {form}")
        return word

    def _prices(self, item: str, unit: str) -> Prices:
        entries = self._document.get(item)
        if not isinstance(entries, list) or not entries:
            raise self._wrong((item,), f"write one or more [[{item}]] with a prefix and {unit}")
        prices: dict[str, Price] = {}
        for at, entry in enumerate(entries):
            path = (item, str(at))
            prefix = entry.get("prefix") if isinstance(entry, dict) else None
            if not isinstance(prefix, str) or not _PREFIX.fullmatch(prefix):
                raise self._wrong((*path, "prefix"), 'a prefix is "+" and digits, or the digits of a short number')
            if prefix in prices:
                raise self._wrong((*path, "prefix"), f"the prefix {prefix} has a price already")
            prices[prefix] = self._price(path, entry, unit=unit, more={"prefix"})
        return Prices(prices)

    def _price(
        self, path: tuple[str, ...], entry: Any, *, unit: str = "per_minute", more: set[str] | None = None
    ) -> Price:
        if not isinstance(entry, dict):
            raise self._wrong(path, f"[{path[0]}] is missing: write its {unit}, 0 when it is free")
        known = {unit, "billing"} if unit == "per_minute" else {unit}
        for name in entry.keys() - known - (more or set()):
            raise self._wrong((*path, name), f"`{name}` is not known here")
        millicents = entry.get(unit)
        if type(millicents) is not int or not 0 <= millicents <= PRICE_MAX:
            raise self._wrong((*path, unit), f"{unit} is a whole number of millicents from 0 to {PRICE_MAX}")
        billing = _BILLING.fullmatch(str(entry.get("billing", "1/1")))
        if billing is None:
            raise self._wrong((*path, "billing"), "billing is the first and each further step in seconds, as 60/60")
        return Price(millicents, Increments(int(billing[1]), int(billing[2])))

    def _wrong(
        self, path: tuple[str, ...], what: str, kind: type[TariffRefused | PriceForEncryption] = TariffRefused
    ) -> TariffRefused | PriceForEncryption:
        """An error that names the line, or the line of what it stands in."""
        line = next((self._lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self._lines), 1)
        return kind(f"tariff, line {line}: {what}")


def _lines_of(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """Where tables and their keys stand, the n-th [[table]] as (table, n)."""
    table: tuple[str, ...] = ()
    counted: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*(\[\[?)\s*([^\]]+?)\s*\]", line):
            name = header[2].strip("\"'")
            table = (name,)
            if header[1] == "[[":
                counted[name] = counted.get(name, -1) + 1
                yield table, number
                table = (name, str(counted[name]))
            yield table, number
        elif key := re.match(r"\s*[\"']?([^\"'=#]+?)[\"']?\s*=", line):
            yield (*table, key[1]), number
