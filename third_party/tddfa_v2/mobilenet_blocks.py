"""The blocks of MobileNet-V1, for the torch module and the ONNX graph alike."""

# name: (outputs at width 1, stride)
BLOCKS = {
    "dw2_1": (64, 1),
    "dw2_2": (128, 2),
    "dw3_1": (128, 1),
    "dw3_2": (256, 2),
    "dw4_1": (256, 1),
    "dw4_2": (512, 2),
    "dw5_1": (512, 1),
    "dw5_2": (512, 1),
    "dw5_3": (512, 1),
    "dw5_4": (512, 1),
    "dw5_5": (512, 1),
    "dw5_6": (1024, 2),
    "dw6": (1024, 1),
}
STEM = 32
"""Channels of the first convolution at width 1."""
