"""What a compute process would refuse, found before anybody waits for it: a part of the composition root."""

from __future__ import annotations

from recon_service.detectors import check_detector
from recon_service.settings import Settings
from recon_service.weights import locate


def check_compute(settings: Settings) -> None:
    """Raises what compute processes would end with. What the defaults name is left to them: to look at it
    takes a second or two, and the pipeline, which the service's own process does not load.
    """
    check_detector(settings.detector)
    if settings.model == "dense":
        locate("ict-face-model")
    if settings.policy != Settings.model_fields["policy"].default:
        check_policy(settings)
    if settings.appearance not in ("auto", "off"):
        check_appearance(settings)
    if settings.matching_device == "cuda":
        check_matching(settings)
    if settings.picture_check:
        from recon_service import assembly

        assembly.load_picture_networks()


def check_policy(settings: Settings) -> str:
    """The policy and the calibration that bears its claim. Raises InvalidValue, PolicyUnsupported,
    WeightsUnavailable.
    """
    from recon_service import assembly
    from recon_service.comparison.calibration_file import load_calibration, released_for
    from recon_service.comparison.policies import activated

    model = assembly.load_model(assembly.ModelChoice(settings.model))
    calibration = load_calibration(released_for(model.name))
    return f"{activated(settings.policy, calibration).name}, by {calibration.identity}"


def check_appearance(settings: Settings) -> str:
    """The network for appearance, or that there is none. Raises WeightsUnavailable, InvalidValue."""
    from recon_service import assembly

    network = assembly.load_appearance(settings.appearance)
    return "none: shape alone" if network is None else network.name


def check_matching(settings: Settings) -> str:
    """Where skin is matched. Raises InvalidValue where a graphics processor is asked for without torch."""
    from recon_service import assembly

    assembly.check_matching(assembly.MatchingDevice(settings.matching_device))
    return settings.matching_device
