"""The heavy part of the use cases, without storage: selfies and frames in, posteriors and decisions out."""
