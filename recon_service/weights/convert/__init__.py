"""Originals (pickles, torch checkpoints) become npz and safetensors once; nothing else reads a pickle."""
