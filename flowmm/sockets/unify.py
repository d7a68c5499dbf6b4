"""First-order unification over the types of a whole graph, remembering which port said what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .spaces import Space
from .types import NONE, Choice, ListOf, Plain, Socket, Type, Union, Var, flatten, is_subclass, one_of


@dataclass(frozen=True, slots=True)
class Conflict:
    """Why a source does not fit a target. `variable` and `origin` are set where a variable was bound before."""

    got: Type
    expected: Type
    variable: str = ""
    origin: object = None
    reason: str = ""


@dataclass(slots=True)
class Bindings:
    """What each variable stands for, and the edge that said so.

    Variables are bound root to root, so chains stay short and checking a graph stays linear; `trail` undoes what
    a failing member of a union bound. `warnings` collects wires whose facts agree but whose fingerprints differ.
    """

    bound: dict[Var, Type] = field(default_factory=dict)
    origins: dict[Var, object] = field(default_factory=dict)
    trail: list[tuple[Var, Type | None]] = field(default_factory=list)
    warnings: list[tuple[Space, Space, object]] = field(default_factory=list)

    def find(self, term: Type) -> Type:
        """The term a variable stands for (one level), or its representative variable."""
        while isinstance(term, Var):
            following = self.bound.get(term)
            if following is None:
                return term
            term = following
        return term

    def resolve(self, type_: Type) -> Type:
        """The type with every bound variable replaced, all the way down."""
        type_ = self.find(type_)
        if isinstance(type_, Socket) and type_.args:
            return Socket(type_.cls, tuple(map(self.resolve, type_.args)))
        if isinstance(type_, ListOf):
            return ListOf(self.resolve(type_.item))
        if isinstance(type_, Union):
            return one_of(flatten(map(self.resolve, type_.members)))
        return type_

    def fit(self, source: Type, target: Type, origin: object = None) -> Conflict | None:
        """Make source fit target, binding variables on the way; None, or the conflict that forbids it.

        A union tries its members in order; what a failing member bound is rolled back.
        """
        if source is target:
            return None
        if isinstance(source, Var) or isinstance(target, Var):
            return self._fit_variable(source, target, origin)
        if isinstance(source, Union):
            for member in source.members:
                conflict = self.fit(member, target, origin)
                if conflict:
                    return Conflict(source, target, reason=f"{member} does not fit")
            return None
        if isinstance(source, Choice) and not isinstance(target, Choice):
            # Its type may fit; else each value may still be a member of a union of choices.
            kinds = [Plain(cls) for cls in dict.fromkeys(type(value) for value in source.values)]
            if self._try(lambda: self._fit_all(kinds, target, origin)) is None:
                return None
        if isinstance(target, Union):
            if isinstance(source, Choice) and len(source.values) > 1:
                parts = [Choice((value,)) for value in source.values]
                return Conflict(source, target) if self._fit_all(parts, target, origin) else None
            first = None
            # Variables last: None fits T | None as None, and does not make T optional.
            for member in sorted(target.members, key=lambda member: isinstance(member, Var)):
                conflict = self._try(lambda member=member: self.fit(source, member, origin))
                if conflict is None:
                    return None
                related = isinstance(source, Socket) and isinstance(member, Socket) and source.cls is member.cls
                first = first or (conflict if related else None)
            return first or Conflict(source, target)
        if isinstance(source, Plain) and isinstance(target, Plain):
            return None if is_subclass(source.cls, target.cls) else Conflict(source, target)
        if isinstance(source, Choice) and isinstance(target, Choice):
            wanted = {(type(v), v) for v in target.values}
            return None if all((type(v), v) in wanted for v in source.values) else Conflict(source, target)
        if isinstance(source, ListOf) and isinstance(target, ListOf):
            conflict = self.fit(source.item, target.item, origin)
            return conflict and Conflict(source, target, conflict.variable, conflict.origin, conflict.reason)
        if isinstance(source, Socket) and isinstance(target, Socket) and is_subclass(source.cls, target.cls):
            for mine, wanted in zip(source.args, target.args):  # a subclass keeps its base's spaces first
                conflict = self.unify(mine, wanted, origin)
                if conflict:
                    return conflict
            return None
        return Conflict(source, target)

    def _fit_all(self, sources: Iterable[Type], target: Type, origin: object) -> Conflict | None:
        """Make every source fit; the first conflict."""
        for source in sources:
            conflict = self.fit(source, target, origin)
            if conflict:
                return conflict
        return None

    def unify(self, left: Type, right: Type, origin: object = None) -> Conflict | None:
        """Make two spaces equal; left is what came, right what was wanted."""
        seen = [term for term in (left, right) if isinstance(term, Var)]
        a, b = self.find(left), self.find(right)
        if a is b:
            return None
        if isinstance(b, Var):
            return self._bind(b, a, origin)
        if isinstance(a, Var):
            return self._bind(a, b, origin)
        if isinstance(a, Space) and isinstance(b, Space):
            if a.kind == b.kind and a.facts == b.facts:
                if not a.same_prints(b):
                    self.warnings.append((a, b, origin))
                return None
            holder = seen[-1] if seen else None
            return Conflict(a, b, str(holder or ""), self._origin(holder), "; ".join(a.differences(b)))
        return self.fit(a, b, origin)

    def _fit_variable(self, source: Type, target: Type, origin: object) -> Conflict | None:
        """A variable standing for a whole type, as T in a switch: it widens to what both sides fit into."""
        a, b = self.find(source), self.find(target)
        if a is b:
            return None
        if isinstance(b, Var):
            return self._bind(b, a, origin)
        if isinstance(a, Var):
            return self._bind(a, b, origin)
        conflict = self._try(lambda: self.fit(a, b, origin))
        if conflict is None or not isinstance(target, Var):
            return conflict
        wider = self._join(a, b, origin)
        if wider is None:
            return Conflict(a, b, str(target), self._origin(target), conflict.reason)
        self._bind(self._last(target), wider, origin)
        return None

    def _join(self, a: Type, b: Type, origin: object) -> Type | None:
        """The narrowest type both fit into, without inventing a union of strangers; None if there is none.

        The order in which edges are checked must not matter, so None and choices are gathered wherever they come.
        """
        a, b = self.find(a), self.find(b)
        if self._try(lambda: self.fit(a, b, origin)) is None:
            return b
        if self._try(lambda: self.fit(b, a, origin)) is None:
            return a
        left, right = flatten([a]), flatten([b])
        if NONE in left or NONE in right:
            left, right = ([part for part in side if part != NONE] for side in (left, right))
            if not left or not right:
                return one_of([*left, *right, NONE])
            inner = self._join(one_of(left), one_of(right), origin)
            return None if inner is None else one_of(flatten([inner, NONE]))
        if isinstance(a, Choice) and isinstance(b, Choice):
            return Choice(tuple({(type(v), v): v for v in b.values + a.values}.values()))
        if isinstance(a, ListOf) and isinstance(b, ListOf):
            item = self._join(a.item, b.item, origin)
            return None if item is None else ListOf(item)
        return None

    def conflict(self, source: Type, target: Type) -> Conflict | None:
        """What fit would say; nothing of it stays."""
        mark, warned = len(self.trail), len(self.warnings)
        found = self.fit(source, target)
        self._undo(mark)
        del self.warnings[warned:]
        return found

    def _try(self, attempt: Callable[[], Conflict | None]) -> Conflict | None:
        """The attempt's conflict, and then nothing of what it bound or warned about stays."""
        mark, warned = len(self.trail), len(self.warnings)
        conflict = attempt()
        if conflict is not None:
            self._undo(mark)
            del self.warnings[warned:]
        return conflict

    def _last(self, variable: Var) -> Var:
        """The last variable of a chain: the one that holds the type itself."""
        while isinstance(self.bound.get(variable), Var):
            variable = self.bound[variable]
        return variable

    def _bind(self, variable: Var, term: Type, origin: object) -> Conflict | None:
        if not isinstance(term, (Var, Space)) and self._occurs(variable, term):
            return Conflict(term, variable, str(variable), origin, "a type cannot contain itself")
        self.trail.append((variable, self.bound.get(variable)))
        self.bound[variable] = term
        self.origins.setdefault(variable, origin)
        return None

    def _undo(self, mark: int) -> None:
        while len(self.trail) > mark:
            variable, before = self.trail.pop()
            if before is None:
                del self.bound[variable]
                self.origins.pop(variable, None)
            else:
                self.bound[variable] = before

    def _occurs(self, variable: Var, type_: Type) -> bool:
        type_ = self.find(type_)
        if isinstance(type_, Socket):
            return any(self._occurs(variable, arg) for arg in type_.args)
        if isinstance(type_, ListOf):
            return self._occurs(variable, type_.item)
        if isinstance(type_, Union):
            return any(self._occurs(variable, member) for member in type_.members)
        return type_ is variable

    def _origin(self, variable: Var | None) -> object:
        """The edge that gave a variable its meaning: the nearest one known along its chain."""
        while isinstance(variable, Var):
            if self.origins.get(variable) is not None:
                return self.origins[variable]
            variable = self.bound.get(variable)
        return None
