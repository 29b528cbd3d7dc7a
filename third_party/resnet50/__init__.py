"""ResNet-50, the trunk of DECA's and FaceVerse's encoders."""
