"""The service that somebody would write in an afternoon: face_recognition (dlib) behind FastAPI, synchronous.

Runs in an environment of its own: ``pip install dlib-bin numpy pillow fastapi uvicorn python-multipart
face_recognition_models 'setuptools<81'`` and ``pip install --no-deps face_recognition``. Vectors are kept in
memory, in the open. ``python face_recognition_service.py PORT``.
"""

import io
import os
import sys

import face_recognition
import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException, UploadFile

app = FastAPI()
known: dict[str, np.ndarray] = {}


@app.get("/livez")
def live() -> dict[str, int]:
    return {"pid": os.getpid()}


@app.post("/subjects/{subject}/enrollments")
def enroll(subject: str, selfies: list[UploadFile]) -> dict[str, int]:
    found = []
    for selfie in selfies:
        picture = face_recognition.load_image_file(io.BytesIO(selfie.file.read()))
        found += face_recognition.face_encodings(picture)[:1]
    if not found:
        raise HTTPException(422, "no face")
    known[subject] = np.mean(found, axis=0)
    return {"faces": len(found)}


@app.post("/subjects/{subject}/verifications")
def verify(subject: str, image: UploadFile) -> dict[str, float]:
    picture = face_recognition.load_image_file(io.BytesIO(image.file.read()))
    seen = face_recognition.face_encodings(picture)
    if not seen:
        raise HTTPException(422, "no face")
    return {"distance": float(np.linalg.norm(known[subject] - seen[0]))}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
