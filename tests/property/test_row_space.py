"""Leverage in the space of known sums: held against the projection itself, written out in full."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from evalkit.numerics.row_space import place_leverage

CLOSE = 1e-8
"""Rounding of two decompositions of a small matrix; 1e-12 of it each, with room for those that are ill conditioned."""


class Sums(NamedTuple):
    members: NDArray[np.bool_]
    row: NDArray[np.int64]
    atoms: NDArray[np.bool_]
    measure: NDArray[np.float64]


@st.composite
def sums(draw: st.DrawFn) -> Sums:
    """Up to eight pieces of up to nine places with up to four atoms; several places are often alike."""
    pieces, places, atoms = (draw(st.integers(1, most)) for most in (8, 9, 4))
    bits = st.integers(0, 2**16)
    random = np.random.default_rng(draw(bits))
    members = random.random((pieces, places)) < draw(st.sampled_from((0.3, 0.5, 0.8)))
    counted = random.random((pieces, atoms)) < draw(st.sampled_from((0.4, 0.9)))
    return Sums(members, np.arange(pieces), counted, random.choice([1.0, 2.0, 7.5], atoms))


def in_full(known: Sums) -> NDArray[np.float64]:
    """The projection onto all rows, place by place and atom by atom."""
    pieces, places = known.members.shape
    atoms = known.atoms.shape[1]
    rows = np.zeros((pieces, places, atoms))
    for piece in range(pieces):
        rows[known.row[piece]] += np.outer(
            known.members[piece], known.atoms[piece] * np.sqrt(known.measure)
        )
    flat = rows.reshape(pieces, -1)
    projection = np.linalg.pinv(flat, rcond=1e-10) @ flat
    blocks = projection.reshape(places, atoms, places, atoms)
    return np.array([np.linalg.eigvalsh(blocks[u, :, u, :]).max() for u in range(places)])


@given(known=sums())
def test_it_is_the_largest_eigenvalue_of_the_projections_block(known: Sums) -> None:
    np.testing.assert_allclose(place_leverage(*known), in_full(known), rtol=0, atol=CLOSE)


@given(known=sums())
def test_pieces_of_one_row_are_summed(known: Sums) -> None:
    """Rings of two widths are one sum; a place's atom is in it once."""
    apart = np.zeros_like(known.atoms)
    apart[:, ::2] = known.atoms[:, ::2]
    split = Sums(
        np.concatenate([known.members, known.members]),
        np.concatenate([known.row, known.row]),
        np.concatenate([apart, known.atoms & ~apart]),
        known.measure,
    )
    np.testing.assert_allclose(place_leverage(*split), in_full(known), rtol=0, atol=CLOSE)


@given(known=sums())
def test_a_further_row_never_lowers_it(known: Sums) -> None:
    before = np.zeros(known.members.shape[1])
    for rows in range(1, len(known.row) + 1):
        members, row, atoms, measure = known
        after = place_leverage(members[:rows], row[:rows], atoms[:rows], measure)
        assert (after >= before - CLOSE).all()
        before = after


@given(known=sums(), seed=st.integers(0, 2**16))
def test_order_changes_nothing(known: Sums, seed: int) -> None:
    random = np.random.default_rng(seed)
    rows, places, atoms = (
        random.permutation(n) for n in (*known.members.shape, known.atoms.shape[1])
    )
    shuffled = place_leverage(
        known.members[rows][:, places],
        np.arange(len(rows)),
        known.atoms[rows][:, atoms],
        known.measure[atoms],
    )
    np.testing.assert_allclose(shuffled, place_leverage(*known)[places], rtol=0, atol=CLOSE)


@given(known=sums(), share=st.floats(0.05, 0.95))
def test_an_atom_cut_in_two_changes_nothing(known: Sums, share: float) -> None:
    """A disc of 300 m is one of 150 m and the ring around it, so that what was known stays what it was."""
    cut = Sums(
        known.members,
        known.row,
        np.column_stack([known.atoms, known.atoms[:, 0]]),
        np.append(known.measure, known.measure[0] * share),
    )
    cut.measure[0] *= 1 - share
    np.testing.assert_allclose(place_leverage(*cut), place_leverage(*known), rtol=0, atol=CLOSE)


@pytest.mark.parametrize("size", [1, 2, 5, 10, 1000])
def test_a_set_of_m_tells_one_mth_of_each(size: int) -> None:
    known = place_leverage(
        np.ones((1, size), dtype=bool), np.array([0]), np.ones((1, 1), dtype=bool), np.ones(1)
    )
    np.testing.assert_allclose(known, 1 / size, rtol=1e-12)


def one_atom(*sets: set[int], places: int) -> NDArray[np.float64]:
    members = np.array([[place in own for place in range(places)] for own in sets])
    return place_leverage(
        members, np.arange(len(sets)), np.ones((len(sets), 1), dtype=bool), np.ones(1)
    )


def test_two_sets_that_differ_by_one_place_isolate_it() -> None:
    everywhere = set(range(20_000))
    found = one_atom(everywhere, everywhere - {7}, places=20_000)
    assert found[7] == pytest.approx(1, abs=CLOSE)
    assert np.delete(found, 7).max() < 1e-4


def test_four_sets_isolate_a_place_though_no_two_of_them_differ_by_fewer_than_ten() -> None:
    base, p, q = set(range(30)), set(range(30, 40)), set(range(40, 50))
    sets = (base | p | q | {50}, base | p, base | q, base)
    differences = [len(one ^ other) for one in sets for other in sets if one is not other]
    assert min(differences) >= 10
    assert one_atom(*sets[:3], places=51).max() < 0.5
    assert one_atom(*sets, places=51)[50] == pytest.approx(1, abs=CLOSE)


def test_a_place_that_takes_anothers_is_half_known() -> None:
    """The difference of the two sums is that of two places."""
    base = set(range(1000))
    found = one_atom(base | {1000}, base | {1001}, places=1002)
    assert 0.5 <= found[1000] < 0.501


def test_a_disc_less_its_inner_disc_is_no_place_by_itself() -> None:
    """Sums over the same hundred places at two radii tell a hundredth of each, at either."""
    members = np.ones((2, 100), dtype=bool)
    atoms = np.array([[True, False], [True, True]])
    found = place_leverage(members, np.arange(2), atoms, np.array([1.0, 3.0]))
    np.testing.assert_allclose(found, 0.01, rtol=1e-10)


def test_nothing_known_tells_nothing() -> None:
    empty = np.zeros((0, 3), dtype=bool)
    found = place_leverage(empty, np.zeros(0, dtype=np.int64), np.zeros((0, 1), bool), np.ones(1))
    np.testing.assert_array_equal(found, np.zeros(3))


def test_a_set_without_places_tells_nothing() -> None:
    found = place_leverage(
        np.zeros((1, 3), dtype=bool), np.array([0]), np.ones((1, 1), dtype=bool), np.ones(1)
    )
    np.testing.assert_array_equal(found, np.zeros(3))
