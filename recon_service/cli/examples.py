"""What `--help` of each sub-command shows below its options: lines to copy. A test holds that every
sub-command has some, and that the options in them exist.
"""

from __future__ import annotations

from typing import Final

ROOT: Final = (
    ("recon demo", "see the whole path once, without any key or camera"),
    ("recon serve", "the service; it prints a development key and its address"),
    ("recon fit selfie.jpg --out results", "without a service: pictures and meshes of one person"),
)
EXAMPLES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "demo": (("recon demo", "what it made lies in demo-output/"),),
    "serve": (
        ("recon serve", "on this machine alone, with a development key"),
        ("recon serve --host 0.0.0.0", "behind a proxy that speaks TLS; needs keys of its own"),
    ),
    "enroll": (
        ("recon enroll user-8c41 left.jpg front.jpg right.jpg --consent consent-2031", "three selfies"),
    ),
    "verify": (
        ("recon verify user-8c41 --depth depth.png --intrinsics camera.json", "one depth map"),
        (
            "recon verify user-8c41 --depth a.png --depth b.png --image a.jpg --image b.jpg "
            "--intrinsics camera.json",
            "two, with their pictures",
        ),
    ),
    "fit": (
        ("recon fit selfie.jpg --out results", "overlay, meshes, a three-view picture and a report"),
        ("recon fit left.jpg front.jpg right.jpg --out results", "several selfies of one person"),
    ),
    "doctor": (("recon doctor", "every part, with what to do about it"),),
    "weights": (
        ("recon weights list", "what is here, what is missing, and what brings it"),
        ("recon weights pull --set default", "what the service needs at least"),
        ("recon weights verify", "whether a file was altered"),
    ),
    "backends": (("recon backends", "which reconstruction models run here, and what the others lack"),),
    "kiosk": (
        ("recon kiosk cameras", "what is plugged in"),
        ("recon kiosk check --camera realsense", "the camera, and whether the service answers"),
        ("recon kiosk run --camera realsense --open", "the screen and the visits"),
        ("recon kiosk record film/ --camera realsense --in-the-clear", "of somebody who may be seen"),
    ),
    "edge": (
        ("recon edge keys kiosk.keys", "on the kiosk; prints what the next command asks for"),
        ("recon edge register lobby-3 RECIPIENT SIGNING", "at the service"),
        ("recon edge add lobby-3 user-8c41 user-9d52", "whom the kiosks of the site may know"),
        ("recon edge bundle lobby-3 kiosk_… --output lobby-3.bundle", "to carry there"),
    ),
    "keys": (
        ('recon keys create "mobile app" --scope enroll', "printed once, and never again"),
        ("recon keys list", ""),
        ("recon keys revoke KEY_ID", ""),
    ),
    "limits": (
        ("recon limits show", "who is locked out"),
        ("recon limits lift --subject user-8c41", ""),
    ),
    "audit": (
        ("recon audit show --subject user-8c41", "what was done with a subject, also when it was deleted"),
        ("recon audit verify", "whether an entry was altered or taken out"),
    ),
    "subjects": (
        ("recon subjects list", ""),
        ("recon subjects delete user-8c41 >> receipts.jsonl", "keep the receipts: restores need them"),
    ),
    "templates": (
        ("recon templates list user-8c41", "its versions"),
        ("recon templates activate user-8c41 tpl_…", "compare with this one from now on"),
        ("recon templates export moved/ --to age1…", "for another service"),
    ),
    "batch": (
        ("recon batch submit --all --dry-run", "whom, and with what material"),
        ("recon batch submit --all --watch", "nothing is in force before `activate`"),
        ("recon batch compare batch_…", "what would change, for whom most"),
        ("recon batch activate batch_… --watch", "and `rollback`, to the byte"),
    ),
    "models": (("recon models", "what every worker runs, and what made the templates"),),
    "bulk": (("recon bulk enroll people.csv --from selfies/", "interrupted, it goes on where it was"),),
    "worker": (
        (
            "RECON_BROKER_URL=redis://broker:6379/0 recon worker",
            "with the database and store of the service",
        ),
    ),
    "operations": (
        ("recon operations status", "what waits, and for how long"),
        ("recon operations dead", "what was given up for a fault of ours"),
        ("recon operations retry --all", "when the fault is mended"),
    ),
    "database": (("recon database show", "which migration it stands at"),),
    "evaluate": (
        ("recon evaluate synthetic --subjects 20 --rows image3-depth3", "people who do not exist"),
        ("recon evaluate folder --root recordings/ --report report/", "your own (docs/evaluation.md)"),
    ),
    "bench": (
        ("recon bench small-set small/", "a data set to try it on"),
        ("recon bench detectors small/", "all detectors that run here, side by side"),
    ),
    "calibrate": (
        ("recon calibrate --name mine-1 --folder recordings/ --out calibrations/", "docs/calibration.md"),
    ),
    "policies": (("recon policies", "what each claims, and whether it was shown"),),
}


def epilog(lines: tuple[tuple[str, str], ...]) -> str:
    """As Typer prints it: a heading, then a paragraph a line, with what it does as a comment."""
    shown = [f"{line}   [dim]# {about}[/dim]" if about else line for line, about in lines]
    return "\n\n".join(["[bold]Examples[/bold]", *shown])
