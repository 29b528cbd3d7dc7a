"""The coefficient space that every model file of this package speaks."""

IDENTITY_MODES = 60
"""Leading modes of ICT-FaceKit Light; 30, 60 or 100 hardly differ in what they tell about a person, 60
leave 0.7 mm unexplained.
"""

EXPRESSION_MODES = 25
"""Leading directions of the 56 expressions: 98.9 % of their variance."""

EXPRESSION_SD = 0.25
"""Standard deviation of the original's expression coefficients (0 to 1) that is taken as one unit of ours."""

SPACE = f"ict-facekit-light/{IDENTITY_MODES}"
