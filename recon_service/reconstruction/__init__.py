"""From a face in an image to evidence about the identity: one folder per backend."""
