"""The languages of medcorpus: one registry, read from `language_families.yaml`.

A label from the outside (`zh-CN`, `cmn_Hans`, `__label__eng_Latn`, `Northern Sotho`) is normalised once, at
the edge, to a code of the registry: ISO 639-3, the macrolanguage where data sets use it. A label that the
registry does not know raises `UnknownLanguage`; it is never guessed.
"""

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Any, NamedTuple

from medcorpus.core import keys
from medcorpus.core.shipped import shipped

_BETWEEN = re.compile(r"[\s_-]+")
_NUMERIC_REGION = re.compile(r"[0-9]{3}")
_VARIANT_WITH_DIGIT = re.compile(r"[0-9][0-9a-z]{3}|(?=[a-z]*[0-9])[0-9a-z]{5,8}")
_SHOWN = 40  # characters of an unknown label that an error repeats


@dataclass(frozen=True, slots=True)
class Language:
    """One language as `language_families.yaml` has it.

    `scripts` are ISO 15924, most usual first. `branch` is "" outside Indo-European and Afro-Asiatic.
    `segmentation` is "spaced" or "unspaced" (blanks do not part words in the usual script). `macro` is the
    ISO 639-3 macrolanguage of a language that is kept apart from it, else None. `native` and `note` may be
    empty.
    """

    code: str
    bcp47: str
    name: str
    native: str
    scripts: tuple[str, ...]
    family: str
    branch: str
    segmentation: str
    aliases: tuple[str, ...]
    macro: str | None
    note: str


class Label(NamedTuple):
    """What a label says: a code of the registry, and a script (ISO 15924) if the label names one."""

    code: str
    script: str | None


Expert = tuple[int, str, tuple[str, ...]]  # index, name, codes of the languages that train it


class UnknownLanguage(ValueError):
    """A label that names no language of the registry; the message names it and the nearest known names.

    These are looked for when they are read: that takes 10 ms, and who has 2,000 foreign labels reads none of them.
    """

    def __init__(self, label: str, nearest: tuple[str, ...] | Callable[[str], tuple[str, ...]] = ()) -> None:
        super().__init__(label)
        self.label = label
        self._nearest = nearest

    @cached_property
    def nearest(self) -> tuple[str, ...]:
        """Names that look most like the label."""
        return self._nearest(self.label) if callable(self._nearest) else self._nearest

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.label, self.nearest)

    def __str__(self) -> str:
        shown = self.label if len(self.label) <= _SHOWN else self.label[:_SHOWN] + "..."
        return (
            f"unknown language {shown!r}; nearest known names: {', '.join(self.nearest)}; "
            "`medcorpus languages` lists all"
        )


def _key(text: str) -> str:
    """The form in which labels are compared: NFC, no case, one hyphen for blanks, hyphens and underscores."""
    return _BETWEEN.sub("-", unicodedata.normalize("NFC", text.strip()).casefold())


class Registry:
    """Every language of `language_families.yaml`, its labels and its experts.

    Iteration gives `Language` objects in file order; `in`, `[]` and `get` take a code, never an alias.
    The pseudo-languages `und`, `mixed` and `zxx` are labels but not members.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        """Build the registry from the parsed file.

        Raises ValueError if two languages claim one label or an expert map names an unknown code.
        """
        self._languages = {code: _language(code, entry) for code, entry in data["languages"].items()}
        self._pseudo = frozenset(data["pseudo"])
        self._scripts = {script.casefold(): script for script in data["scripts"].split()}
        self._regions = frozenset(data["regions"].casefold().split())
        self._variants = frozenset(data["variants"])
        self._unspaced_scripts: dict[str, str] = dict(data["unspaced_scripts"])
        self._codes: dict[str, str] = {}
        for code, entry in data["pseudo"].items():
            self._claim(code, (code, entry["name"], *entry["aliases"]))
        for lang in self:
            self._claim(lang.code, (lang.code, lang.bcp47, lang.name, lang.native, *lang.aliases))
        self._labels = self._table(data["labels"])
        self._sources = {name: self._table(table) for name, table in data["sources"].items()}
        self._experts = {name: self._expert_map(experts) for name, experts in data["expert_maps"].items()}
        self._expert_of = {
            name: {code: index for index, _, codes in experts for code in codes}
            for name, experts in self._experts.items()
        }
        self.ordinal_dot: frozenset[str] = frozenset(self[code].code for code in data["ordinal_dot"])
        self.mission: tuple[str, ...] = tuple(self[code].code for code in data["mission"])
        self._resolve = lru_cache(maxsize=4096)(self._resolve_uncached)

    def __getitem__(self, code: str) -> Language:
        """The language of a code. Raises KeyError for anything else, aliases and pseudo-languages too."""
        return self._languages[code]

    def __iter__(self) -> Iterator[Language]:
        return iter(self._languages.values())

    def __len__(self) -> int:
        return len(self._languages)

    def __contains__(self, code: object) -> bool:
        return code in self._languages

    def get(self, code: str) -> Language | None:
        """The language of a code, or None."""
        return self._languages.get(code)

    @cached_property
    def digest(self) -> str:
        """Digest of all that decides what `label` answers; names, families and experts may change under it."""
        tables = {name: {text: list(label) for text, label in t.items()} for name, t in self._sources.items()}
        macros = {lang.code: lang.macro for lang in self}
        subtags = [sorted(self._scripts.values()), sorted(self._regions), sorted(self._variants)]
        return keys.digest(
            [self._codes, {t: list(label) for t, label in self._labels.items()}, tables, macros, subtags]
        )

    @property
    def pseudo(self) -> frozenset[str]:
        """The labels that are not a language: `und`, `mixed`, `zxx`."""
        return self._pseudo

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources that have a label table of their own."""
        return tuple(self._sources)

    def label(self, text: str, source: str | None = None) -> Label:
        """Read a label: any code, BCP 47 tag, name or alias, with or without `__label__` before it.

        Case does not matter, nor which of blank, `_` and `-` parts the words. A script subtag is kept; region
        and variant subtags are ignored. `source` names a label table of the registry that is asked first, for
        data sets that mean something of their own (`als` in `lid176`). Answers are cached.

        Raises UnknownLanguage for a label that names no language, KeyError for a `source` without a table.
        """
        if source is not None and source not in self._sources:
            raise KeyError(f"no label table for the source {source!r}; there are: {', '.join(self._sources)}")
        found = self._resolve(text, source)
        if found is None:
            raise UnknownLanguage(text, self._nearest)
        return found

    def normalise(self, text: str, source: str | None = None) -> str:
        """The code that a label names; `und`, `mixed` and `zxx` pass. Raises as `label` does."""
        return self.label(text, source).code

    def expert(self, code: str, map: str = "glottolog") -> int | None:
        """Index of the expert that a language trains under an expert map.

        None for `und`, `mixed` and `zxx`, and for a language that a map of codes lists neither itself nor by
        its macrolanguage. Raises KeyError for an unknown code or map.
        """
        experts = self._expert_of[map]
        if code in self._pseudo:
            return None
        lang = self._languages[code]
        if code in experts or lang.macro is None:
            return experts.get(code)
        # The macrolanguage may be an alias here: nor is nob.
        return experts.get(self._codes.get(lang.macro, ""))

    def experts(self, map: str = "glottolog") -> tuple[Expert, ...]:
        """The experts of a map: (index, name, codes), in index order. Raises KeyError for an unknown map."""
        return self._experts[map]

    def segmentation(self, code: str, script: str | None = None) -> str:
        """`spaced` or `unspaced`: whether blanks part words in the language, in `script` if one is given.

        A pseudo-language without a script counts as spaced. Raises KeyError for an unknown code.
        """
        if script is not None:
            return "unspaced" if script in self._unspaced_scripts else "spaced"
        return "spaced" if code in self._pseudo else self._languages[code].segmentation

    def words(self, code: str) -> str:
        """How words are told apart in the usual script of a language: `blanks`, or where there are none by a
        `dictionary`, `syllables` that a mark parts, or `clusters` (characters with their marks).

        Raises KeyError for an unknown code.
        """
        language = self._languages[code]
        return self._unspaced_scripts[language.scripts[0]] if language.segmentation == "unspaced" else "blanks"

    def _claim(self, code: str, labels: tuple[str, ...]) -> None:
        for label in labels:
            owner = self._codes.setdefault(_key(label), code) if label else code
            if owner != code:
                raise ValueError(f"two languages claim the label {label!r}: {owner} and {code}")

    def _table(self, table: Mapping[str, str]) -> dict[str, Label]:
        """A block of `label: code` or `label: code-Script`, checked against the registry."""
        read: dict[str, Label] = {}
        for text, value in table.items():
            code, _, script = value.partition("-")
            if code not in self and code not in self._pseudo:
                raise ValueError(f"the label {text!r} stands for an unknown code {code!r}")
            if script and self._scripts.get(script.casefold()) != script:
                raise ValueError(f"the label {text!r} stands for an unknown script {script!r}")
            read[_key(text)] = Label(code, script or None)
        return read

    def _expert_map(self, entries: list[dict[str, Any]]) -> tuple[Expert, ...]:
        """One expert map; a map by families takes `Family/Branch` before `Family` before `*`."""
        index_of = {family: int(entry["index"]) for entry in entries for family in entry.get("families", ())}
        taken: dict[int, list[str]] = {int(entry["index"]): list(entry.get("codes", ())) for entry in entries}
        for code in (code for codes in taken.values() for code in codes):
            if code not in self:
                raise ValueError(f"an expert map names an unknown code {code!r}")
        if index_of:
            for lang in self:
                for family in (f"{lang.family}/{lang.branch}", lang.family, "*"):
                    if family in index_of:
                        taken[index_of[family]].append(lang.code)
                        break
        return tuple(sorted((int(e["index"]), e["name"], tuple(taken[int(e["index"])])) for e in entries))

    def _resolve_uncached(self, text: str, source: str | None) -> Label | None:
        key = _key(text).removeprefix("-label-")
        own = self._sources[source] if source is not None else {}
        whole = own.get(key) or self._labels.get(key)
        if whole is not None:
            return whole
        if key in self._codes:
            return Label(self._codes[key], None)
        first, *subtags = key.split("-")
        if first in own:
            code, script = own[first]
        elif first in self._codes:
            code, script = self._codes[first], None
        else:
            return None
        return self._subtags(code, script, subtags)

    def _subtags(self, code: str, script: str | None, subtags: list[str]) -> Label | None:
        """Read what follows a language: extended language, script, region, variants, in this order."""
        if subtags and len(subtags[0]) == 3 and subtags[0].isalpha():
            # zh-yue, ar-arz: an individual language under its macrolanguage, or the tag is no tag at all.
            extended = self.get(self._codes.get(subtags.pop(0), ""))
            if extended is None or code not in (extended.code, extended.macro):
                return None
            code = extended.code
        if subtags and subtags[0] in self._scripts:
            script = self._scripts[subtags.pop(0)]
        if subtags and (subtags[0] in self._regions or _NUMERIC_REGION.fullmatch(subtags[0])):
            subtags.pop(0)
        if all(tag in self._variants or _VARIANT_WITH_DIGIT.fullmatch(tag) for tag in subtags):
            return Label(code, script)
        return None

    def _nearest(self, text: str) -> tuple[str, ...]:
        wanted = _key(text[:_SHOWN]).removeprefix("-label-")
        if len(wanted.partition("-")[0]) <= 3:  # eng_Lat: a code, and what belongs to it
            wanted = wanted.partition("-")[0]
        names: dict[str, str] = {}
        for lang in self:
            for known in (lang.code, lang.bcp47) if len(wanted) <= 3 else (lang.name,):
                names[_key(known)] = f"{lang.name} ({lang.code})"
        close = difflib.get_close_matches(wanted, names, n=6, cutoff=0.0)
        return tuple(dict.fromkeys(names[key] for key in close))[:3]


def _language(code: str, entry: Mapping[str, Any]) -> Language:
    return Language(
        code=code,
        bcp47=entry["bcp47"],
        name=entry["name"],
        native=entry.get("native", ""),
        scripts=tuple(entry["scripts"]),
        family=entry["family"],
        branch=entry.get("branch", ""),
        segmentation=entry["segmentation"],
        aliases=tuple(entry.get("aliases", ())),
        macro=entry.get("macro"),
        note=entry.get("note", ""),
    )


@cache
def registry() -> Registry:
    """The registry that ships with medcorpus, read once in a process.

    Raises FileNotFoundError if the file is not shipped, ValueError if it contradicts itself.
    """
    import yaml

    # The base loader leaves every scalar a string, so `no` stays Norwegian even where quotes were forgotten.
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    with shipped("language_families.yaml").open(encoding="utf-8") as file:
        return Registry(yaml.load(file, Loader=loader))  # noqa: S506 (a base loader builds strings only)
