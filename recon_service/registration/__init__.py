"""Dense correspondence between the canonical model and the mean face of another model, by deformation."""

from recon_service.registration.correspondence import Correspondence
from recon_service.registration.nonrigid import RegistrationReport, register

__all__ = ["Correspondence", "RegistrationReport", "register"]
