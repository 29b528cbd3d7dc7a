"""One Gauss-Newton solver for any mix of evidence from any number of captures: shared identity, per-capture
nuisances.
"""

from recon_service.fitting.solver import fit_identity

__all__ = ["fit_identity"]
