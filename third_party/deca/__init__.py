"""DECA's coarse reconstruction and the FLAME head model."""
