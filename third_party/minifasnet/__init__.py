"""MiniFASNet: presentation attacks seen in a picture. See PROVENANCE.md."""
