"""The type algebra against a brute-force model, and what unification promises."""

from __future__ import annotations

import itertools
import pathlib
import random
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmm.sockets import Image, Latent, Mask, S, Space, T, Text
from flowmm.sockets.types import (
    NONE,
    Choice,
    ListOf,
    Plain,
    Socket,
    Union,
    Var,
    assignable,
    flatten,
    instantiate,
    of_literal,
    one_of,
    read,
    union,
)  # fmt: skip
from flowmm.sockets.unify import Bindings

SD1 = Space.of("latent", channels=4, factor=8, scale=0.18215)
SDXL = Space.of("latent", channels=4, factor=8, scale=0.13025)
BASES = [Plain(cls) for cls in (int, float, bool, str, pathlib.Path, type(None))]
SOCKETS = [Socket(Image), Socket(Mask), Socket(Text), Socket(Latent, (SD1,)), Socket(Latent, (SDXL,))]

choices = st.lists(st.sampled_from([1, 2, True, False, "a", "b"]), min_size=1, max_size=3).map(
    lambda values: Choice(tuple({(type(v), v): v for v in values}.values()))
)


def _union(members):
    try:
        return union(members)
    except TypeError:  # two spaces of one class
        return members[0]


ground = st.recursive(
    st.one_of(st.sampled_from(BASES + SOCKETS), choices),
    lambda inner: st.one_of(inner.map(ListOf), st.lists(inner, min_size=1, max_size=3).map(_union)),
    max_leaves=5,
)


def _parts(type_):
    yield type_
    if isinstance(type_, ListOf):
        yield from _parts(type_.item)
    if isinstance(type_, Union):
        for member in type_.members:
            yield from _parts(member)
    if isinstance(type_, Choice):
        yield from (Choice((value,)) for value in type_.values)


def closure(types):
    """Every assignable pair of a universe, by applying the written rules until nothing new follows."""
    universe = list(dict.fromkeys([*BASES, *(part for type_ in types for part in _parts(type_))]))
    fits = {(a, a) for a in universe}
    for a, b in itertools.product(universe, repeat=2):
        match a, b:
            case Plain(cls=x), Plain(cls=y) if x is int and y is float:
                fits.add((a, b))
            case Choice(values=(only,)), Plain(cls=y) if type(only) is y:
                fits.add((a, b))
            case Choice(values=(only,)), Choice(values=many) if any(type(v) is type(only) and v == only for v in many):
                fits.add((a, b))
            case Socket(cls=x, args=args), Socket(cls=y, args=others) if issubclass(x, y) and args == others:
                fits.add((a, b))
        if isinstance(b, Union) and a in b.members:
            fits.add((a, b))
    while True:
        new = {(a, c) for a, b in fits for c in universe if (b, c) in fits}
        for a, b in itertools.product(universe, repeat=2):
            if isinstance(a, ListOf) and isinstance(b, ListOf) and (a.item, b.item) in fits:
                new.add((a, b))
            if isinstance(a, Union) and all((member, b) in fits for member in a.members):
                new.add((a, b))
            if isinstance(a, Choice) and all((Choice((value,)), b) in fits for value in a.values):
                new.add((a, b))
        if new <= fits:
            return universe, fits
        fits |= new


@settings(max_examples=80, deadline=None)
@given(st.lists(ground, min_size=1, max_size=4))
def test_assignability_is_exactly_the_closure_of_the_written_rules(types):
    universe, fits = closure(types)
    for a, b in itertools.product(universe, repeat=2):
        assert assignable(a, b) == ((a, b) in fits), f"{a} → {b}"


@given(ground)
def test_every_type_fits_itself(type_):
    assert assignable(type_, type_)


@settings(max_examples=300)
@given(ground, ground, ground)
def test_assignability_is_transitive(a, b, c):
    if assignable(a, b) and assignable(b, c):
        assert assignable(a, c)


@pytest.mark.parametrize(
    ("source", "target", "fits"),
    [
        (Literal["a"], str, True),
        (Literal[1], float, True),
        (Literal["a", "b"], Literal["b", "c", "a"], True),
        (Literal["a", "b"], Literal["a"], False),
        (int, float, True),
        (float, int, False),
        (bool, int, False),
        (Literal[True], int, False),
        (Literal[True], Literal[1], False),
        (str, Literal["a"], False),
        (int, int | None, True),
        (int | None, int, False),
        (int | None, float | None, True),
        (None, Literal["a", None], True),  # noqa: PYI061 - as people write it
        (list[int], list[float], True),
        (list[float], list[int], False),
        (list[int | str], list[int], False),
        (str, pathlib.Path, False),
        (Mask, Image, True),
        (Image, Mask, False),
        (Literal[1, "a"], int | str, True),
    ],
)
def test_the_cases_that_other_engines_get_wrong(source, target, fits):
    assert assignable(read(source), read(target)) is fits


def test_a_union_may_not_hold_one_class_with_two_spaces():
    with pytest.raises(TypeError, match="Latent twice"):
        union([Socket(Latent, (SD1,)), Socket(Latent, (SDXL,))])


def test_a_union_is_flat_without_repeats_and_without_order():
    assert union([Plain(int), union([Plain(str), Plain(int)])]) == Union((Plain(str), Plain(int)))
    assert union([Plain(int), Plain(int)]) == Plain(int)


@pytest.mark.parametrize("annotation", [dict, object, list, complex, Literal[b"x"]])
def test_what_cannot_flow_on_an_edge_is_refused_when_read(annotation):
    with pytest.raises((TypeError, IndexError)):
        read(annotation)


def test_a_long_list_of_literals_is_typed_in_linear_time_and_told_briefly():
    type_ = of_literal(list(range(50_000)))
    assert assignable(type_, ListOf(Plain(float)))
    assert not assignable(type_, ListOf(Plain(str)))
    assert len(str(type_)) < 100


@given(st.lists(st.sampled_from([1, True, 1.5, "a", None, [1], ["a", None]]), max_size=4))
def test_a_literal_list_fits_what_each_of_its_items_fits(items):
    for target in (Plain(int), Plain(float), Plain(str), union([Plain(float), Plain(str), NONE])):
        each = all(assignable(of_literal(item), target) for item in items)
        assert (Bindings().fit(of_literal(items), ListOf(target)) is None) == each


# Unification

SPACES = [SD1, SDXL]


def _solve(order):
    bindings = Bindings()
    variables = {name: Var(name) for name in "abcdef"}
    terms = [[variables[side] if isinstance(side, str) else side for side in pair] for pair in order]
    conflicts = [bindings.unify(left, right) for left, right in terms]
    if any(conflicts):
        return None
    roots = {name: bindings.find(variable) for name, variable in variables.items()}
    return {(a, b): roots[a] is roots[b] or roots[a] == roots[b] for a in roots for b in roots} | {
        a: root if isinstance(root, Space) else None for a, root in roots.items()
    }


@given(
    st.lists(st.tuples(st.sampled_from([*"abcdef"]), st.sampled_from([*"abcdef", *SPACES])), max_size=8),
    st.randoms(use_true_random=False),
)
def test_spaces_unify_alike_in_any_order_and_direction(equations, random_):
    shuffled = [pair if random_.random() < 0.5 else pair[::-1] for pair in equations]
    random_.shuffle(shuffled)
    assert _solve(equations) == _solve(shuffled)


widening = st.one_of(
    st.sampled_from([Plain(int), Plain(float), NONE]),
    st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=2, unique=True).map(lambda v: Choice(tuple(v))),
)
widenings = st.one_of(
    st.lists(widening, min_size=1, max_size=4),
    st.lists(widening.map(ListOf), min_size=1, max_size=4),
    st.lists(st.sampled_from([Socket(Image), Socket(Mask), NONE, Plain(str)]), min_size=1, max_size=4),
)


def _widened(types):
    bindings, variable = Bindings(), Var("T")
    conflicts = [bindings.fit(type_, variable) for type_ in types]
    return None if any(conflicts) else bindings.resolve(variable)


@given(widenings, st.randoms(use_true_random=False))
def test_a_type_variable_widens_to_the_same_type_in_any_order(types, random_):
    shuffled = list(types)
    random_.shuffle(shuffled)
    first, second = _widened(types), _widened(shuffled)
    assert (first is None) == (second is None)
    if first is not None:
        assert assignable(first, second) and assignable(second, first)
        assert all(assignable(type_, first) for type_ in types)


def test_what_a_failing_union_member_bound_is_rolled_back():
    s, t = Var("S"), Var("T")
    bindings = Bindings()
    pair = Socket(Latent, (s,))
    target = Union((ListOf(pair), Plain(int), t))
    # The list member binds S by its first part, then fails by its second.
    source = ListOf(Union((Socket(Latent, (SD1,)), Plain(str))))
    assert bindings.fit(source, target) is None
    assert bindings.find(s) is s
    assert bindings.resolve(t) == source


@given(st.lists(ground, min_size=1, max_size=3), ground)
def test_a_failing_attempt_leaves_no_binding_behind(members, source):
    variable = Var("T")
    target = one_of(flatten([*map(ListOf, members), ListOf(ListOf(variable))]))
    bindings = Bindings()
    if bindings.fit(ListOf(source), target) is not None:
        assert bindings.find(variable) is variable and not bindings.warnings


def test_none_for_an_optional_variable_does_not_make_the_variable_optional():
    variable = Var("T")
    bindings = Bindings()
    assert bindings.fit(read(int | None), Union((variable, NONE))) is None
    assert bindings.resolve(variable) == Plain(int)


def test_a_type_cannot_contain_itself():
    variable = Var("T")
    conflict = Bindings().fit(ListOf(variable), variable)
    assert conflict is not None and "contain itself" in conflict.reason
    bindings, other = Bindings(), Var("U")
    assert bindings.fit(ListOf(other), variable) is None
    assert bindings.fit(ListOf(variable), other) is not None


def test_a_conflict_names_the_port_that_bound_the_variable_first():
    variables: dict = {}
    latent = read(Latent[S], variables)
    bindings = Bindings()
    assert bindings.fit(Socket(Latent, (SD1,)), latent, "the first edge") is None
    conflict = bindings.fit(Socket(Latent, (SDXL,)), latent, "the second edge")
    assert conflict is not None
    assert (conflict.variable, conflict.origin) == ("S", "the first edge")
    assert conflict.reason == "scale 0.13025, not 0.18215"


def test_a_named_unknown_carries_a_contradiction_across_the_graph():
    unknown = Var("the latent space of `model`")
    bindings = Bindings()
    assert bindings.unify(unknown, SD1, "sampler") is None
    conflict = bindings.unify(unknown, SDXL, "decoder")
    assert conflict is not None and conflict.origin == "sampler" and "model" in conflict.variable


def test_other_fingerprints_warn_and_do_not_refuse():
    one = Space.of("vocabulary", {"vocabulary": "aa"}, size=100)
    two = Space.of("vocabulary", {"vocabulary": "bb"}, size=100)
    bindings = Bindings()
    assert bindings.unify(one, two, "edge") is None
    assert bindings.warnings == [(one, two, "edge")]
    assert Bindings().unify(one, Space.of("vocabulary", size=100)) is None


def test_spaces_differ_by_kind_and_by_every_fact():
    assert SD1.differences(Space.of("encoder", width=4)) == ["latent space, not encoder space"]
    assert SD1.differences(Space.of("latent", channels=16, factor=8, scale=0.18215)) == ["channels 4, not 16"]
    assert str(SD1) == "4 channels ÷8"
    assert str(Space.of("my_space", width=4)) == "width 4"


def test_each_node_has_variables_of_its_own():
    variables: dict = {}
    signature = [read(Latent[S], variables), read(T, variables), read(list[T], variables)]
    fresh: dict = {}
    mine = [instantiate(type_, fresh) for type_ in signature]
    assert mine[0].args[0] is not signature[0].args[0]
    assert mine[2].item is mine[1]


def test_a_bare_generic_socket_is_a_fresh_variable_each_time():
    bindings = Bindings()
    for space in (SD1, SDXL):
        assert bindings.fit(Socket(Latent, (space,)), read(Latent)) is None


@pytest.mark.parametrize("length", [10_000])
def test_a_long_chain_of_variables_is_unified_in_linear_time(length):
    bindings = Bindings()
    variables = [Var(f"S{i}") for i in range(length)]
    order = list(range(length - 1))
    random.Random(0).shuffle(order)
    for i in order:
        assert bindings.unify(variables[i], variables[i + 1]) is None
    assert bindings.unify(SD1, variables[0]) is None
    assert bindings.find(variables[-1]) == SD1
