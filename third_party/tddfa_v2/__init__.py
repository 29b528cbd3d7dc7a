"""3DDFA-V2: detector, regressor and the formulas around them. PROVENANCE.md says where each comes from.

numpy and OpenCV alone: ``boxes``, ``region``, ``parameters``, ``basel``. torch: ``faceboxes``,
``mobilenet``. onnx: ``graphs``.
"""
