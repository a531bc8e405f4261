"""YAML values together with the line each stands on; duplicate keys, alias loops and tags refused.

Scalars are read as YAML 1.2 reads them where 1.1 surprises: `no`, `on`, `yes` and dates are words
(`languages: [en, no]` is English and Norwegian); only `true` and `false` are booleans.
"""

from dataclasses import dataclass, field
from typing import Any

import yaml

from medcorpus.core.errors import Problem, RecipeError

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_NODES = 100_000  # aliases can multiply; a recipe never comes near this
_MAX_DEPTH = 100  # libyaml's composer calls itself for each level, and overflows the stack of the process
_TOO_DEEP = f"more than {_MAX_DEPTH} levels deep"
_TAG = "tag:yaml.org,2002:"
_WORDS = ("str", "timestamp", "value")  # `value` is a lone =
_KNOWN = (*_WORDS, "bool", "int", "float", "null", "map", "seq")


@dataclass
class Lines:
    """Lines (1-based) of a value and of what is in it, by path such as ("steps", 0, "quality", "min_words")."""

    by_path: dict[tuple[str | int, ...], int] = field(default_factory=dict)

    def at(self, *path: str | int) -> int:
        """Line of `path`, or of the nearest thing around it."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.by_path:
                return self.by_path[path[:end]]
        return 0


def read(text: str, file: str) -> tuple[Any, Lines, list[Problem]]:
    """The value in `text`, the lines in it, and problems that do not stop reading (duplicate keys).

    Raises RecipeError when the text is not YAML.
    """
    try:
        _look_at_depth(text, file)
        loader = _Loader(text)
        try:
            reader = _Reader(loader, file)
            node = loader.get_single_node()
            value = None if node is None else reader.build(node, ())
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        said = _TOO_DEEP if "nesting depth" in what else f"not YAML: {what}"  # libyaml has a limit of its own by now
        raise RecipeError([Problem(file, mark.line + 1 if mark else 0, said)]) from error
    return value, reader.lines, reader.problems


def _look_at_depth(text: str, file: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            line = event.start_mark.line + 1 if event.start_mark else 0
            raise RecipeError([Problem(file, line, _TOO_DEEP)])


class _Reader:
    """Builds values out of nodes and notes their lines."""

    def __init__(self, loader: Any, file: str):
        self.loader = loader
        self.file = file
        self.lines = Lines()
        self.problems: list[Problem] = []
        self.count = 0

    def build(self, node: yaml.Node, path: tuple[str | int, ...]) -> Any:
        """The value of `node`, which stands at `path`."""
        line = node.start_mark.line + 1
        self.count += 1
        if self.count > _MAX_NODES:
            raise RecipeError([Problem(self.file, line, "too many values (do aliases multiply?)")])
        if len(path) > _MAX_DEPTH:
            raise RecipeError([Problem(self.file, line, f"{_TOO_DEEP} (an alias that contains itself?)")])
        kind = node.tag.removeprefix(_TAG)
        if kind not in _KNOWN:
            raise RecipeError([Problem(self.file, line, f"the tag !{kind.removeprefix('!')} is not known here")])
        self.lines.by_path.setdefault(path, line)
        if isinstance(node, yaml.MappingNode):
            return self._map(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        is_word = kind in _WORDS or (kind == "bool" and node.value.lower() not in ("true", "false"))
        return str(node.value) if is_word else self.loader.construct_object(node)

    def _map(self, node: yaml.MappingNode, path: tuple[str | int, ...]) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise RecipeError([Problem(self.file, line, "a key is a word, not a list or a map")])
            if key_node.tag == f"{_TAG}merge":
                raise RecipeError([Problem(self.file, line, "merge keys (<<) are not known here")])
            key = str(key_node.value)
            if key in value:
                first = self.lines.by_path[(*path, key)]
                self.problems.append(Problem(self.file, line, f"'{key}' stands here again (first on line {first})"))
                continue
            self.lines.by_path[(*path, key)] = line
            value[key] = self.build(value_node, (*path, key))
        return value
