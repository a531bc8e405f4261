"""One empty stage of each sort, for what only looks at plans."""

from medcorpus.core.params import Params, decision, place, speed
from medcorpus.core.stage import Context, Expand, Gather, Job, Map, Resources, Source
from medcorpus.engine.plan import Plan, Step, with_keys


class Read(Source):
    name = "read"


class Score(Map):
    class Params(Params):
        width: int = 1
        limit: float = decision(0.5)
        threads: int = speed(1)
        where: str = place("here")

    name = "score"


class Model(Map):
    """Its rows follow from a file as well."""

    name = "model"
    digest = "one"

    def resource_digests(self):
        return {"file": self.digest}


class Costly(Map):
    name = "costly"
    costly = True


class Ask(Map):
    name = "ask"
    resources = Resources(kind="io")


class Cut(Map):
    name = "cut"
    decides = True


class Mask(Map):
    name = "mask"
    protects = True


class Split(Expand):
    name = "split"


class Compare(Gather):
    name = "compare"


class Write(Job):
    name = "write"


def step(cls, id="", inputs=(), decisions=(), **params) -> Step:
    """A step of one of these stages, called as its stage is."""
    id = id or cls.name
    context = Context(step=id, decisions=tuple(decisions))
    return Step(id, f"{cls.__module__}:{cls.__qualname__}", params, context, tuple(inputs))


def plan(*steps: Step) -> Plan:
    """As it comes out of a recipe."""
    return Plan("test", with_keys(list(steps)))


def chain(*classes) -> Plan:
    """One after the other; ids are `a`, `b`, `c` ..."""
    ids = "abcdefghijklmnop"[: len(classes)]
    before = [(), *((id,) for id in ids)]
    return plan(*(step(cls, id, up) for cls, id, up in zip(classes, ids, before, strict=False)))
