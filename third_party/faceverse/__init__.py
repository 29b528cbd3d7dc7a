"""FaceVerse version 4: encoder and head model."""
