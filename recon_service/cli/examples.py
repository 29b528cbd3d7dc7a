"""What `--help` of each command shows below its options: lines to copy. A test holds that every command has
some, and that the options in them exist.
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
        (
            "RECON_MASTER_KEY_FILE=/run/secrets/recon recon serve --host 0.0.0.0",
            "behind a proxy that speaks TLS; needs an API key of its own",
        ),
    ),
    "enroll": (
        ("recon enroll user-8c41 left.jpg front.jpg right.jpg --consent consent-2031", "three selfies"),
        ("recon enroll user-8c41 front.heic --url https://recon.example", "at another machine"),
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
    "doctor": (
        ("recon doctor", "every part, with what to do about it"),
        ("RECON_DATABASE_URL=postgresql://recon:…@db/recon recon doctor", "of other settings"),
    ),
    "weights": (
        ("recon weights list", "what is here, what is missing, and what brings it"),
        ("recon weights pull --set default", "what the service needs at least"),
        ("recon weights verify", "whether a file was altered"),
    ),
    "weights list": (("recon weights list --json | jq", "for programs"),),
    "weights pull": (
        ("recon weights pull --set default", "what the service needs at least"),
        ("recon weights pull yunet retinaface-640", "by name"),
        ("RECON_WEIGHTS_MIRROR=/srv/weights recon weights pull --all", "from a folder, without a network"),
    ),
    "weights verify": (("recon weights verify", "everything that is here"),),
    "weights convert": (
        ("recon weights convert faceboxes", "of an original that was pulled"),
        ("recon weights convert bfm --from bfm_noneck_v3.pkl", "of a file of yours"),
    ),
    "weights register": (
        ("recon weights register tddfa_v2 --picture fit.png", "with a picture to judge it"),
    ),
    "weights build ict": (
        ("recon weights build ict", "reads its files from the web"),
        ("recon weights build ict --source ICT-FaceKit/", "of a checkout"),
    ),
    "backends": (("recon backends", "which reconstruction models run here, and what the others lack"),),
    "kiosk": (
        ("recon kiosk cameras", "what is plugged in"),
        ("recon kiosk check --camera realsense", "the camera, and whether the service answers"),
        ("recon kiosk run --camera realsense --open", "the screen and the visits"),
        ("recon kiosk record film/ --camera realsense --in-the-clear", "of somebody who may be seen"),
    ),
    "kiosk cameras": (("recon kiosk cameras", ""),),
    "kiosk check": (
        ("recon kiosk check --camera realsense", ""),
        ("recon kiosk check --camera simulated --url https://recon.example", "without a camera"),
    ),
    "kiosk record": (
        ("recon kiosk record visit-1 --key-file key", "sealed; the key: openssl rand -hex 32 > key"),
    ),
    "kiosk run": (
        (
            "recon kiosk run --camera realsense --url https://recon.example --open",
            "the screen and the visits",
        ),
        ("recon kiosk run --camera simulated --subject user-8c41", "one visit, without camera and screen"),
    ),
    "edge": (
        ("recon edge keys kiosk.keys", "on the kiosk; prints what the next command asks for"),
        ("recon edge register lobby-3 x25519:… ed25519:…", "at the service"),
        ("recon edge add lobby-3 user-8c41 user-9d52", "whom the kiosks of the site may know"),
        ("recon edge bundle lobby-3 kiosk_… --output lobby-3.bundle", "to carry there"),
    ),
    "edge keys": (("recon edge keys kiosk.keys", ""),),
    "edge register": (
        ("recon edge register lobby-3 x25519:… ed25519:…", "as `recon edge keys` printed them"),
    ),
    "edge revoke": (("recon edge revoke lobby-3 kiosk_…", "after a theft"),),
    "edge add": (("recon edge add lobby-3 user-8c41 user-9d52", ""),),
    "edge remove": (("recon edge remove lobby-3 user-8c41", ""),),
    "edge bundle": (("recon edge bundle lobby-3 kiosk_… --output lobby-3.bundle", ""),),
    "edge inspect": (
        ("recon edge inspect lobby-3.bundle --keys kiosk.keys --service ed25519:…", "as the kiosk reads it"),
    ),
    "keys": (
        ('recon keys create "mobile app" --scope enroll', "printed once, and never again"),
        ("recon keys list", ""),
        ("recon keys revoke KEY_ID", ""),
    ),
    "keys create": (
        ('recon keys create "mobile app" --scope enroll', "printed once, and never again"),
        ('recon keys create "back office" --scope ops --scope enroll', ""),
    ),
    "keys list": (("recon keys list", ""),),
    "keys revoke": (("recon keys revoke 1f2e3d4c5b6a", "by its id, as `recon keys list` shows it"),),
    "keys rotate-master": (
        (
            "RECON_MASTER_KEY_FILE=new.key RECON_ACCEPTED_MASTER_KEYS_FILE=old.key recon keys rotate-master",
            "",
        ),
    ),
    "limits": (
        ("recon limits show", "who is locked out"),
        ("recon limits lift --subject user-8c41", ""),
    ),
    "limits show": (("recon limits show", ""),),
    "limits lift": (
        ("recon limits lift --subject user-8c41", ""),
        ("recon limits lift --key 1f2e3d4c5b6a", "of a kiosk"),
    ),
    "audit": (
        ("recon audit show --subject user-8c41", "what was done with a subject, also when it was deleted"),
        ("recon audit verify", "whether an entry was altered or taken out"),
    ),
    "audit show": (
        ("recon audit show --subject user-8c41 --action verification", ""),
        ("recon audit show --after 1042 --json", "for programs, from there on"),
    ),
    "audit verify": (
        ("recon audit verify", "prints the end: note it in another place"),
        ("recon audit verify --since 1042:9f3c…", "the end that was printed before is still there"),
    ),
    "audit accept": (("recon audit verify --since 1042:9f3c… || recon audit accept", "after a restore"),),
    "subjects": (
        ("recon subjects list", ""),
        ("recon subjects delete user-8c41 >> receipts.jsonl", "keep the receipts: restores need them"),
    ),
    "subjects list": (("recon subjects list | wc -l", "how many there are"),),
    "subjects delete": (
        ("recon subjects delete user-8c41 >> receipts.jsonl", "keep the receipts: restores need them"),
    ),
    "subjects reapply-deletions": (
        ("recon subjects reapply-deletions receipts.jsonl", "before the service is started again"),
    ),
    "templates": (
        ("recon templates list user-8c41", "its versions"),
        ("recon templates activate user-8c41 tpl_…", "compare with this one from now on"),
        ("recon templates export moved/ --to age1…", "for another service"),
    ),
    "templates list": (("recon templates list user-8c41", ""),),
    "templates activate": (("recon templates activate user-8c41 tpl_…", ""),),
    "templates keygen": (("recon templates keygen identity.key", "prints age1…"),),
    "templates identity": (("recon templates identity --url https://old.example", "prints ed25519:…"),),
    "templates export": (
        ("recon templates export moved/ --to age1… --url https://old.example", "goes on where it stopped"),
    ),
    "templates import": (
        ("recon templates import moved/ --activate --url https://new.example", "may be repeated"),
    ),
    "batch": (
        ("recon batch submit --all --dry-run", "whom, and with what material"),
        ("recon batch submit --all --watch", "nothing is in force before `activate`"),
        ("recon batch compare batch_…", "what would change, for whom most"),
        ("recon batch activate batch_… --watch", "and `rollback`, to the byte"),
    ),
    "batch submit": (
        ("recon batch submit --all --dry-run", "whom, and with what material"),
        (
            "recon batch submit --calibration released-1@0b9f2d4c6e8a --to-calibration released-2 --watch",
            "whose template has the one, on workers that have the other",
        ),
    ),
    "batch list": (("recon batch list", ""),),
    "batch watch": (("recon batch watch batch_…", ""),),
    "batch show": (("recon batch show batch_… --json", ""),),
    "batch items": (
        ("recon batch items batch_… --state needs-new-selfie | cut -f 1", "whom to ask for a new selfie"),
    ),
    "batch pause": (("recon batch pause batch_…", ""),),
    "batch resume": (("recon batch resume batch_…", ""),),
    "batch cancel": (("recon batch cancel batch_…", "what succeeded may still be activated"),),
    "batch compare": (
        ("recon batch compare batch_… --evaluate", "with error rates on the same people; takes minutes"),
        ("recon batch compare batch_… --sample 1000 --faces outliers/", "with pictures of their faces"),
    ),
    "batch activate": (("recon batch activate batch_… --watch", ""),),
    "batch rollback": (("recon batch rollback batch_… --watch", ""),),
    "batch retry": (("recon batch retry batch_…", ""),),
    "models": (
        ("recon models", "what every worker runs, and what made the templates"),
        ("recon models --json | jq .templates", ""),
    ),
    "bulk": (("recon bulk enroll people.csv --from selfies/", "interrupted, it goes on where it was"),),
    "bulk enroll": (
        ("recon bulk enroll people.csv --from selfies/", "interrupted, it goes on where it was"),
        ("recon bulk enroll people.parquet --from s3://migration/2031 --at-once 16 --no-wait", ""),
    ),
    "worker": (
        (
            "RECON_BROKER_URL=redis://broker:6379/0 recon worker",
            "with the database and store of the service",
        ),
        ("recon worker --queues batch", "for large batches alone"),
    ),
    "operations": (
        ("recon operations status", "what waits, and for how long"),
        ("recon operations dead", "what was given up for a fault of ours"),
        ("recon operations retry --all", "when the fault is mended"),
    ),
    "operations status": (("recon operations status", ""),),
    "operations dead": (("recon operations dead", ""),),
    "operations retry": (
        ("recon operations retry op_…", "one"),
        ("recon operations retry --all", "when the fault is mended"),
    ),
    "database": (("recon database show", "which migration it stands at"),),
    "database show": (("recon database show", ""),),
    "database downgrade": (("recon database downgrade 0016", "with everything stopped, and a backup made"),),
    "evaluate": (
        ("recon evaluate synthetic --subjects 20 --rows image3-depth3", "people who do not exist"),
        ("recon evaluate folder --root recordings/ --report report/", "your own (docs/evaluation.md)"),
    ),
    "evaluate attacks": (
        ("recon evaluate attacks --sensor structured-light --subjects 6 --frames 3", "simulated people"),
        ("recon evaluate attacks --root FOLDER --frames 54", "people before a Kinect v2"),
    ),
    "evaluate kinect2": (
        ("recon evaluate kinect2 --root FOLDER --cross-validate --rows depth3-depth3", "learned on others"),
    ),
    "evaluate folder": (
        ("recon evaluate folder --root recordings/ --report report/", "your own (docs/evaluation.md)"),
    ),
    "evaluate synthetic": (
        ("recon evaluate synthetic --subjects 20 --rows image3-depth3", "people who do not exist"),
    ),
    "bench": (
        ("recon bench small-set small/", "a data set to try it on"),
        ("recon bench detectors small/", "all detectors that run here, side by side"),
    ),
    "bench detectors": (
        ("recon bench detectors --list", "which can be had here, and what the others lack"),
        ("recon bench detectors small/ --report report/", "side by side, with charts"),
    ),
    "bench small-set": (("recon bench small-set small/ --infrared KINECT2", "with people of your own"),),
    "calibrate": (
        ("recon calibrate --name mine-1 --folder recordings/ --out calibrations/", "docs/calibration.md"),
    ),
    "policies": (
        ("recon policies", "what each claims, and whether it was shown"),
        ("recon policies payment-1", "one; ends with 1 where its claim is not supported"),
    ),
}


def epilog(lines: tuple[tuple[str, str], ...]) -> str:
    """As Typer prints it: a heading, then a paragraph a line, with what it does as a comment."""
    shown = [f"{line}   [dim]# {about}[/dim]" if about else line for line, about in lines]
    return "\n\n".join(["[bold]Examples[/bold]", *shown])
