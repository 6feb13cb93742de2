"""How much the sums that somebody knows tell about one of their terms: leverage in a row space.

Setting
    Each of U places has numbers in J atoms (parts that are told apart: crime type × ring of distance). A piece is a
    set of places and the atoms counted in each of them; a row is the sum over one or more pieces: something that is
    known. The rows known so far span a space. The block of a place is the J × J part of the orthogonal projection
    onto that space; its largest eigenvalue is the place's leverage. It is 1 when some sum of the place's own atoms
    follows exactly from what is known, 1/m when all that is known of it is the sum over m places, and 0 when it is in
    no row. Of all weighted sums of the place's atoms it is the largest share of variance that the known rows explain,
    for somebody to whom all places' numbers are independent, and vary in proportion to their atoms' measure.

Method
    Places that are in the same pieces cannot be told apart. A class of m of them is one column of weight √m, and the
    block of each is that of the class divided by m: exact, and the size of the problem is that of the classes. Atoms
    that are always counted together are put together likewise.

Source
    Hoaglin, D. C. & Welsch, R. E. (1978). The hat matrix in regression and ANOVA. The American Statistician 32, 17–22.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["place_leverage"]

RANK_TOLERANCE: Final = 1e-10
"""Of the largest singular value of rows of length 1. Rounding leaves 1e-15 of a row that follows from the others; one
that differs in a single place of a hundred million has 1e-4."""

Floats = NDArray[np.float64]


def place_leverage(
    members: NDArray[np.bool_], row: NDArray[np.int64], atoms: NDArray[np.bool_], measure: Floats
) -> Floats:
    """(U,) leverage of every place, from 0 to 1.

    Args:
        members: (P, U) the places of each piece.
        row: (P,) the row to which each piece belongs, in 0 … R − 1. A place's atom is in a row at most once.
        atoms: (P, J) the atoms counted in each piece.
        measure: (J,) size of each atom, above 0: an atom that is cut in two gives the same leverage if the two sizes
            add up to that of the whole.
    """
    if not members.any() or not atoms.any():
        return np.zeros(members.shape[1])
    first, place_class, size = _alike(members)
    atoms, measure = _together(atoms, measure)
    distinct = members[:, first]
    features = np.where(atoms, np.sqrt(measure), 0.0)
    shape = (int(row.max()) + 1, len(first), features.shape[1])
    matrix = np.zeros(shape)
    for piece, weights in enumerate(features):
        own = np.flatnonzero(distinct[piece])
        matrix[row[piece], own] += np.sqrt(size[own])[:, None] * weights
    basis = _basis(matrix.reshape(shape[0], -1))
    blocks = basis.reshape(*shape[1:], basis.shape[1])
    products = blocks @ blocks.transpose(0, 2, 1) / size[:, None, None]
    leverage: Floats = np.clip(np.linalg.eigvalsh(products)[:, -1], 0.0, 1.0)
    return leverage[place_class]


def _alike(
    members: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Classes of places with the same column: one place of each, the class of every place, the classes' sizes."""
    packed = np.ascontiguousarray(np.packbits(members, axis=0).T)
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, place_class, size = np.unique(
        keys, return_index=True, return_inverse=True, return_counts=True
    )
    return first, place_class.ravel(), size.astype(np.float64)


def _together(atoms: NDArray[np.bool_], measure: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """Atoms that are in the same pieces as one, with the measures added; those in none are left out."""
    distinct, atom_class = np.unique(atoms, axis=1, return_inverse=True)
    total = np.zeros(distinct.shape[1])
    np.add.at(total, atom_class.ravel(), measure)
    used = distinct.any(axis=0)
    return distinct[:, used], total[used]


def _basis(rows: Floats) -> Floats:
    """(K, rank) orthonormal columns that span the (R, K) rows."""
    length = np.linalg.norm(rows, axis=1)
    rows = rows[length > 0] / length[length > 0, None]
    if not len(rows):
        return np.zeros((rows.shape[1], 0))
    # the factor is at most R × R, so that the long side is gone through once
    columns, factor = np.linalg.qr(rows.T)
    left, values, _ = np.linalg.svd(factor, full_matrices=False)
    kept: Floats = columns @ left[:, values > RANK_TOLERANCE * values[0]]
    return kept
