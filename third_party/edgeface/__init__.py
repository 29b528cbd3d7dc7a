"""EdgeFace: face recognition by an EdgeNeXt with a 512-dimensional output. See PROVENANCE.md."""
