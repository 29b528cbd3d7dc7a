"""The linearized least-squares problem of one Gauss-Newton step."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.domain.errors import FitFailed
from recon_service.fitting.unknowns import Layout, State


class NormalEquations:
    """Accumulates J'J and J'r of residuals r whose Jacobian with respect to the unknowns is -J, already
    whitened. Sums are kept in double precision.

    precision: what terms may linearize in. Single precision takes half the time, and errors of a step are
    mended by the next one: residuals are always differences of double precision (docs/adr/0172).
    """

    def __init__(self, layout: Layout, *, precision: type[np.floating[Any]] = np.float64) -> None:
        self._layout = layout
        self.precision = precision
        self.matrix = np.zeros((layout.size, layout.size))
        self.vector = np.zeros(layout.size)

    def add(self, columns: NDArray[np.int64], jacobian: Array, residual: Array) -> None:
        """jacobian: (M, len(columns)) of the prediction, residual: (M,) observed - predicted, both in units
        of the noise.
        """
        self._scatter(columns, jacobian.T @ jacobian)
        self.vector[columns] += jacobian.T @ residual

    def add_product(self, columns: NDArray[np.int64], product: NDArray[Any]) -> None:
        """The same by the products [J r]'[J r], (len(columns) + 1) square, of the Jacobian J with the
        residual r beside it.
        """
        self._scatter(columns, product[:-1, :-1])
        self.vector[columns] += product[:-1, -1]

    def _scatter(self, columns: NDArray[np.int64], block: NDArray[Any]) -> None:
        # Columns come in a few runs of neighbors: adding rectangles is several times as fast as adding single
        # numbers.
        cuts = [0, *(np.flatnonzero(np.diff(columns) != 1) + 1), len(columns)]
        runs = [(slice(a, b), slice(columns[a], columns[a] + b - a)) for a, b in pairwise(cuts)]
        for source, target in runs:
            for source_of, target_of in runs:
                self.matrix[target, target_of] += block[source, source_of]

    def add_priors(self, state: State, expression_sd: float = 1.0) -> None:
        """N(0, I) on the identity, N(0, expression_sd² I) on expressions, N(0, sd²) on unknown log focals."""
        layout = self._layout
        diagonal = np.zeros(layout.size)
        target = np.zeros(layout.size)
        diagonal[layout.identity] = 1.0
        target[layout.identity] = -state.identity
        for g, sd in enumerate(layout.focal_sds):
            column = layout.identity_modes + g
            diagonal[column] = 1.0 / sd**2
            target[column] = -state.log_focals[g] / sd**2
        for i in range(layout.captures):
            diagonal[layout.expression(i)] = 1.0 / expression_sd**2
            target[layout.expression(i)] = -state.expressions[i] / expression_sd**2
        self.matrix[np.diag_indices(layout.size)] += diagonal
        self.vector += target

    def step(self, *, identity_free: bool) -> Array:
        """The Gauss-Newton step (size,); without the identity when it is held. FitFailed if the system is
        singular.
        """
        free = np.ones(self._layout.size, dtype=bool)
        if not identity_free:
            free[self._layout.identity] = False
        matrix = self.matrix[np.ix_(free, free)]
        # A tiny ridge, relative to each unknown's own scale, keeps poses that nothing holds from running
        # away.
        matrix[np.diag_indices(len(matrix))] *= 1 + 1e-6
        step = np.zeros(self._layout.size)
        try:
            step[free] = _solved(matrix, self.vector[free])
        except (np.linalg.LinAlgError, ValueError) as fault:
            raise FitFailed(
                "The evidence does not determine the fit.", next_step="Take the capture again."
            ) from fault
        if not np.isfinite(step).all():
            raise FitFailed("The fit diverged.", next_step="Take the capture again.")
        return step

    def identity_covariance(self) -> Array:
        """Posterior covariance (K, K) of the identity with all nuisance unknowns integrated out (Laplace
        approximation: the inverse of the Schur complement of the nuisance block).
        """
        k = self._layout.identity_modes
        a, b, c = self.matrix[:k, :k], self.matrix[:k, k:], self.matrix[k:, k:]
        try:
            precision = a - b @ _solved(c, b.T)
            covariance = np.linalg.inv((precision + precision.T) / 2)
        except (np.linalg.LinAlgError, ValueError) as fault:
            raise FitFailed(
                "The evidence does not determine the fit.", next_step="Take the capture again."
            ) from fault
        return np.asarray((covariance + covariance.T) / 2)


def squared(rows: NDArray[Any]) -> NDArray[Any]:
    """The products (K, K) of the columns of rows (N, K) with each other, in their precision."""
    return np.asarray(rows.T @ rows)


def _solved(matrix: Array, right: Array) -> Array:
    """inv(matrix) right, of a positive definite matrix. LinAlgError where it is not."""
    factor = scipy.linalg.cho_factor(matrix, check_finite=False)
    return np.asarray(scipy.linalg.cho_solve(factor, right, check_finite=False))
